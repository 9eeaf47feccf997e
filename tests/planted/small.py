"""LeNet as someone would write it who likes matrices and plain functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Blobs = dict[str, list[Tensor]]


class LeNet(nn.Module):
    """Weights are kept as buffers in a plain dictionary's order; layers are function calls."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        for name in ("conv1", "conv2"):
            w, b = blobs[name]
            if "conv-flip" in bugs and name == "conv2":
                w = w.flip(2, 3)
            if "weight-transpose" in bugs and name == "conv1":
                w = w.transpose(2, 3)
            if "weight-not-loaded" in bugs and name == "conv2":
                w = torch.randn_like(w) * 0.1
            if "conv-bias" in bugs and name == "conv1":
                b = torch.zeros_like(b)
            self.register_parameter(f"{name}_w", nn.Parameter(w.clone()))
            self.register_parameter(f"{name}_b", nn.Parameter(b.clone()))
        self.fc = nn.ParameterList()
        order = ["ip1", "ip2", "ip3"]
        for name in order:
            w, b = blobs[name]
            matrix = w.t().contiguous()  # (in, out), as numpy people write it
            if "weight-reshape" in bugs and name == "ip1":
                matrix = w.reshape(w.shape[1], w.shape[0])
            if "weight-transpose" in bugs and name == "ip2":
                matrix = w.clone()
            if "fc-bias" in bugs and name == "ip2":
                b = torch.zeros_like(b)
            self.fc.append(nn.Parameter(matrix.clone()))
            self.fc.append(nn.Parameter(b.clone()))

    def forward(self, images: Tensor) -> Tensor:
        bugs = self.bugs
        x = images
        if "input-scale" in bugs:
            x = x / 255
        if "mean-subtraction" in bugs:
            x = x - 0.1307
        x = F.conv2d(x, self.conv1_w, self.conv1_b)
        if "pool-kind" in bugs:
            x = F.avg_pool2d(x, 3, 2, ceil_mode=True)
        else:
            x = F.max_pool2d(x, 3, 2, ceil_mode="pool-rounding" not in bugs)
        if "pool-rounding" in bugs:
            x = F.pad(x, (0, 1, 0, 1))  # "to make the shapes fit"
        x = F.conv2d(x, self.conv2_w, self.conv2_b)
        x = F.max_pool2d(x, 2, 2)
        if "flatten-order" in bugs:
            x = x.permute(0, 2, 3, 1)
        x = x.reshape(len(x), -1)
        w1, b1, w2, b2, w3, b3 = self.fc
        x = x @ w1 + b1
        if "relu-missing" not in bugs:
            x = x.clamp(min=0)
        if "precision" in bugs:
            x = (x.half() @ w2.half() + b2.half()).float()
        else:
            x = x @ w2 + b2
        x = F.leaky_relu(x, 0.2) if "relu-slope" in bugs else torch.relu(x)
        scores = x @ w3 + b3
        prob = F.softmax(scores, dim=0 if "softmax-axis" in bugs else 1)
        return F.softmax(prob, dim=1) if "softmax-twice" in bugs else prob


BUGS = (
    "conv-flip", "weight-transpose", "weight-not-loaded", "conv-bias", "weight-reshape", "fc-bias",
    "input-scale", "mean-subtraction", "pool-kind", "pool-rounding", "flatten-order",
    "relu-missing", "precision", "relu-slope", "softmax-axis", "softmax-twice",
)  # fmt: skip
