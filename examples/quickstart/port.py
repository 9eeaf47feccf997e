"""Quickstart ported by hand, as people do it. Something in it is not as in Caffe."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from torchcaffe.weights import read_weights

WEIGHTS = Path(__file__).parent / "weights.caffemodel"


class Quickstart(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.norm1 = nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        pool1 = F.max_pool2d(x, 3, 2)
        x = F.relu(pool1 + self.conv2(self.norm1(pool1)))
        x = F.avg_pool2d(x, 2, 2, ceil_mode=True)
        return F.softmax(self.fc(x.flatten(1)), dim=1)


@torch.no_grad()
def build():
    """The port with its weights."""
    net = Quickstart()
    blobs = {layer.name: layer.blobs for layer in read_weights(WEIGHTS).layers}
    tensors = {name: [torch.from_numpy(blob.copy()) for blob in blobs[name]] for name in blobs}
    net.conv1.weight.copy_(tensors["conv1"][0])
    net.conv1.bias.copy_(tensors["conv1"][1])
    mean, variance, _ = tensors["bn1"]
    net.bn1.running_mean.copy_(mean)
    net.bn1.running_var.copy_(variance)
    net.bn1.weight.copy_(tensors["scale1"][0])
    net.bn1.bias.copy_(tensors["scale1"][1])
    net.conv2.weight.copy_(tensors["conv2"][0])
    net.conv2.bias.copy_(tensors["conv2"][1])
    net.fc.weight.copy_(tensors["fc"][0].reshape(net.fc.weight.shape))
    net.fc.bias.copy_(tensors["fc"][1])
    return net.eval()
