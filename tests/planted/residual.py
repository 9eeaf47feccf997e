"""Two residual nets: one of torchvision's blocks, one written out by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Blobs = dict[str, list[Tensor]]


def fill_bn(bn: nn.BatchNorm2d, blobs: Blobs, name: str, bugs: frozenset[str], here: bool) -> None:
    """Load a BatchNorm2d from Caffe's BatchNorm and Scale; ``here``: where a bug is planted."""
    mean, variance, factor = blobs[f"bn{name}"]
    gamma, beta = blobs[f"scale{name}"]
    divisor = 1.0 if here and "batchnorm-scale-factor" in bugs else float(factor)
    with torch.no_grad():
        bn.running_mean.copy_(mean / divisor)
        bn.running_var.copy_(variance / divisor)
        if bn.affine:
            bn.weight.copy_(gamma)
            bn.bias.copy_(torch.zeros_like(beta) if here and "scale-bias-missing" in bugs else beta)
            if here and "weight-not-loaded" in bugs:
                bn.reset_parameters()
                bn.running_mean.copy_(mean / divisor)
                bn.running_var.copy_(variance / divisor)


class Block(nn.Module):
    """Two 3x3 convolutions and a short cut."""

    def __init__(self, inputs: int, filters: int, stride: int, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        eps = 1e-3 if "batchnorm-eps" in bugs else 1e-5
        affine = "batchnorm-affine-missing" not in bugs
        first, second = (1, stride) if "stride-position" in bugs else (stride, 1)
        self.conv1 = nn.Conv2d(inputs, filters, 3, first, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters, eps=eps)
        self.conv2 = nn.Conv2d(filters, filters, 3, second, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters, affine=affine)
        self.downsample: nn.Module | None = None
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn1(self.conv1(x))
        if "relu-missing" not in self.bugs:
            out = F.relu(out)
        out = self.bn2(self.conv2(out))
        out = out + (identity * 0.5 if "eltwise-coeff" in self.bugs else identity)
        return F.relu(out)


class ResNet18(nn.Module):
    """conv1, layer1 to layer3, fc, as torchvision calls them."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        self.conv1 = nn.Conv2d(3, 12, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.maxpool = nn.MaxPool2d(3, 2, ceil_mode="pool-rounding" not in bugs)
        none, second, third = frozenset[str](), bugs & BLOCK_BUGS, bugs & {"stride-position"}
        self.layer1 = nn.Sequential(Block(12, 12, 1, none), Block(12, 12, 1, second))
        self.layer2 = nn.Sequential(Block(12, 16, 2, third))
        self.layer3 = nn.Sequential(Block(16, 20, 2, none))
        self.fc = nn.Linear(20, 20)
        self._load(blobs)

    @torch.no_grad()
    def _load(self, blobs: Blobs) -> None:
        bugs = self.bugs
        self.conv1.weight.copy_(blobs["conv1"][0])
        if "channel-order" in bugs:
            self.conv1.weight.copy_(blobs["conv1"][0][:, [2, 1, 0]])
        fill_bn(self.bn1, blobs, "_conv1", bugs, True)
        blocks = [*self.layer1, *self.layer2, *self.layer3]
        for unit, block in zip(("2a", "2b", "3a", "4a"), blocks, strict=True):
            here = unit == "3a"
            w1, w2 = blobs[f"res{unit}_branch2a"][0], blobs[f"res{unit}_branch2b"][0]
            if unit == "2b" and "weight-swapped" in bugs:
                w1, w2 = w2, w1
            if unit == "2b" and "conv-flip" in bugs:
                w2 = torch.flip(w2, [2, 3])
            block.conv1.weight.copy_(w1)
            block.conv2.weight.copy_(w2)
            fill_bn(block.bn1, blobs, f"{unit}_branch2a", bugs, here)
            fill_bn(block.bn2, blobs, f"{unit}_branch2b", bugs, False)
            if block.downsample is not None:
                block.downsample[0].weight.copy_(blobs[f"res{unit}_branch1"][0])
                fill_bn(block.downsample[1], blobs, f"{unit}_branch1", bugs, False)
        w, b = blobs["fc1000"]
        self.fc.weight.copy_(w.t() if "weight-transpose" in bugs else w)
        self.fc.bias.copy_(b * 0 if "fc-bias" in bugs else b)

    def forward(self, x: Tensor) -> Tensor:
        if "batchnorm-train-mode" in self.bugs:
            self.bn1.train()
        if "input-scale" in self.bugs:
            x = x.div(255)
        if "input-resize" in self.bugs:
            x = F.interpolate(x, size=(56, 56), mode="bilinear", align_corners=False)
        if "precision" in self.bugs:
            x = F.conv2d(x.bfloat16(), self.conv1.weight.bfloat16(), None, 2, 3).float()
        else:
            x = self.conv1(x)
        x = self.maxpool(F.relu(self.bn1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        x = self.fc(x)
        return x.softmax(0 if "softmax-axis" in self.bugs else -1)


BLOCK_BUGS = frozenset(
    {"batchnorm-eps", "batchnorm-affine-missing", "relu-missing", "eltwise-coeff"}
)
RESNET18_BUGS = (
    "batchnorm-scale-factor", "batchnorm-eps", "batchnorm-train-mode", "batchnorm-affine-missing",
    "scale-bias-missing", "pool-rounding", "relu-missing", "eltwise-coeff", "channel-order",
    "weight-swapped", "conv-flip", "weight-transpose", "fc-bias", "input-scale", "input-resize",
    "precision", "softmax-axis", "stride-position",
)  # fmt: skip


class Bottleneck(nn.Module):
    """Everything by hand: parameters by Caffe's names, normalisation as arithmetic."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        self.w = nn.ParameterDict()
        for layer, values in blobs.items():
            for index, value in enumerate(values):
                self.w[f"{layer}_{index}"] = nn.Parameter(value.clone(), requires_grad=False)

    def norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        here = name == "3a_branch2b"
        mean, variance, factor = (self.w[f"bn{name}_{i}"] for i in range(3))
        if not (here and "batchnorm-scale-factor" in self.bugs):
            mean, variance = mean / factor, variance / factor
        if here and "batchnorm-train-mode" in self.bugs:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        x = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + eps)
        gamma, beta = self.w[f"scale{name}_0"], self.w[f"scale{name}_1"]
        if here and "batchnorm-affine-missing" in self.bugs:
            return x
        x = x * gamma[:, None, None]
        return x if here and "scale-bias-missing" in self.bugs else x + beta[:, None, None]

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        w = self.w[f"{name}_0"]
        return self.norm(F.conv2d(x, w, None, stride, w.shape[-1] // 2), name[3:])

    def unit(self, x: Tensor, name: str, stride: int) -> Tensor:
        bugs = self.bugs
        first, second = (1, stride) if "stride-position" in bugs else (stride, 1)
        short = self.conv(x, f"res{name}_branch1", stride)
        y = self.conv(x, f"res{name}_branch2a", first).relu()
        y = self.conv(y, f"res{name}_branch2b", second)
        y = y if "relu-missing" in bugs and name == "2a" else y.relu()
        y = self.conv(y, f"res{name}_branch2c")
        return torch.relu(short + (y if "eltwise-coeff" in bugs else 0.5 * y))

    def forward(self, x: Tensor) -> Tensor:
        bugs = self.bugs
        bias = None if "conv-bias" in bugs else self.w["conv1_1"]
        x = F.conv2d(x, self.w["conv1_0"], bias, 2, 2 if "conv-padding" in bugs else 3)
        x = self.norm(x, "_conv1", 1e-5 if "batchnorm-eps" in bugs else 1e-3)
        if "relu-slope" in bugs:
            x = F.leaky_relu(x, 0.01)
        else:
            x = F.prelu(x, self.w["conv1_prelu_0"].view(1))
        x = F.max_pool2d(x, 3, 2, ceil_mode="pool-rounding" not in bugs)
        x = self.unit(self.unit(x, "2a", 1), "3a", 2)
        x = F.avg_pool2d(x, 3, 2, 1, True, count_include_pad="pool-padding-average" not in bugs)
        x = x.permute(0, 2, 3, 1) if "flatten-order" in bugs else x
        x = x.reshape(x.shape[0], -1)
        x = F.linear(x, self.w["fc_0"], self.w["fc_1"])
        x = torch.softmax(x, dim=1)
        return x.softmax(1) if "softmax-twice" in bugs else x


BOTTLENECK_BUGS = (
    "batchnorm-scale-factor", "batchnorm-eps", "batchnorm-train-mode", "batchnorm-affine-missing",
    "scale-bias-missing", "stride-position", "relu-missing", "eltwise-coeff", "conv-bias",
    "conv-padding", "relu-slope", "pool-padding-average", "flatten-order", "softmax-twice",
)  # fmt: skip
