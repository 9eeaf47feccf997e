"""Ports in other people's hands: matrices for convolutions, functions only, scripted parts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from planted.alex import CaffeNet
from planted.residual import ResNet18

Blobs = dict[str, list[Tensor]]
Build = Callable[[Blobs, frozenset[str]], nn.Module]


class Rectify(torch.autograd.Function):
    """A ReLU of one's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * (ctx.saved_tensors[0] > 0)


class Rectifier(nn.Module):
    """The ReLU as a module."""

    def forward(self, x: Tensor) -> Tensor:
        return Rectify.apply(x)


class Unfolded(nn.Module):
    """LeNet whose convolutions are matrix products of patches, with a softmax by hand."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs, self.relu, self.params = bugs, Rectifier(), nn.ParameterDict()
        for name, (w, b) in blobs.items():
            if name == "conv2" and "conv-flip" in bugs:
                w = w.flip(2, 3)
            if name == "conv2" and "weight-transpose" in bugs:
                w = w.transpose(2, 3)
            w = w.flatten(1) if w.dim() == 4 else w.t()
            self.params[f"{name}_w"] = nn.Parameter(w.clone())
            self.params[f"{name}_b"] = nn.Parameter(b.clone())

    def conv(self, x: Tensor, name: str) -> Tensor:
        """A 5x5 convolution."""
        size = x.shape[-1] - 4
        y = self.params[f"{name}_w"] @ F.unfold(x, 5)
        if name != "conv1" or "conv-bias" not in self.bugs:
            y += self.params[f"{name}_b"][:, None]
        return y.view(len(x), -1, size, size)

    def pool2(self, x: Tensor) -> Tensor:
        """The largest of each 2x2, by views."""
        n, c, h, w = x.shape
        return x.view(n, c, h // 2, 2, w // 2, 2).amax((3, 5))

    def forward(self, x: Tensor) -> Tensor:
        p = self.params
        x = F.max_pool2d(self.conv(x, "conv1"), 3, 2, ceil_mode=True)
        x = self.pool2(self.conv(x, "conv2"))
        if "flatten-order" in self.bugs:
            x = x.permute(0, 2, 3, 1)
        x = self.relu(torch.addmm(p["ip1_b"], x.reshape(len(x), -1), p["ip1_w"]))
        x = x @ p["ip2_w"]
        if "fc-bias" not in self.bugs:
            x.add_(p["ip2_b"])
        x = self.relu(x) @ p["ip3_w"] + p["ip3_b"]
        e = (x - x.max(1, keepdim=True)[0]).exp()
        x = e / e.sum(1, keepdim=True)
        return torch.softmax(x, 1) if "softmax-twice" in self.bugs else x


class Looped(nn.Module):
    """CaffeNet in functions, the LRN a loop over channels, the last layers convolutions."""

    def __init__(
        self, blobs: Blobs, bugs: frozenset[str], size: int = 5, beta: float = 0.75, k: float = 1.0
    ) -> None:
        super().__init__()
        self.w, self.bugs = blobs, bugs  # not registered, as plain dictionaries are not
        self.size, self.beta, self.k = size, beta, k

    def lrn(self, x: Tensor) -> Tensor:
        """By its formula."""
        half, square, sums = self.size // 2, x * x, []
        for i in range(x.shape[1]):
            near = square[:, max(0, i - half) : i + half + 1].sum(1, keepdim=True)
            sums.append(self.k + 0.01 / self.size * near)
        return x / torch.cat(sums, 1) ** self.beta

    def conv(self, x: Tensor, name: str, **more: int) -> Tensor:
        """A convolution and its ReLU."""
        return F.conv2d(x, *self.w[name], **more).relu_()

    def forward(self, x: Tensor) -> Tensor:
        w, bugs = self.w, self.bugs
        x = self.lrn(F.max_pool2d(self.conv(x, "conv1", stride=4), 3, 2, ceil_mode=True))
        x = F.max_pool2d(self.conv(x, "conv2", padding=2, groups=2), 3, 2, ceil_mode=True)
        x = x if "lrn-missing" in bugs else self.lrn(x)
        x = self.conv(x, "conv3", padding=1)
        x = self.conv(x, "conv4", padding=1, groups=2)
        x = F.max_pool2d(self.conv(x, "conv5", padding=1, groups=2), 3, 2, ceil_mode=True)
        fc6 = w["fc6"][0].view(-1, *x.shape[1:])
        if "flatten-order" in bugs:
            fc6 = w["fc6"][0].view(len(fc6), *x.shape[2:], -1).permute(0, 3, 1, 2)
        x = F.conv2d(x, fc6, None if "fc-bias" in bugs else w["fc6"][1]).relu()
        x = F.conv2d(x, w["fc7"][0][:, :, None, None], w["fc7"][1]).relu()
        x = F.conv2d(x, w["fc8"][0][:, :, None, None], w["fc8"][1])
        return x.flatten(1).softmax(1)


class Scripted(nn.Module):
    """CaffeNet with a classifier compiled by TorchScript."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        whole = CaffeNet(blobs, bugs)
        self.features = whole.features
        with warnings.catch_warnings():  # it is deprecated, and people have it all the same
            warnings.simplefilter("ignore", DeprecationWarning)
            self.classifier = torch.jit.script(whole.classifier)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.classifier(self.features(x).flatten(1)), dim=1)


def padded(blobs: Blobs, bugs: frozenset[str]) -> nn.Module:
    """ResNet-18 with the first pooling of other ResNets."""
    net = ResNet18(blobs, bugs - {"pool-rounding"})
    net.maxpool = nn.MaxPool2d(3, 2, padding=1)
    return net


class Measured(nn.Module):
    """FCN's kind of code: pools and pads by sizes that it asks for."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.net, self.bugs = ResNet18(blobs, bugs), bugs

    def forward(self, x: Tensor) -> Tensor:
        net = self.net
        x = net.maxpool(F.relu(net.bn1(net.conv1(x))))
        x = net.layer3(net.layer2(net.layer1(x)))
        kernel = x.size(2) if "pool-kind" in self.bugs else x.size()[2:]
        pool = F.max_pool2d if "pool-kind" in self.bugs else F.avg_pool2d
        x = net.fc(pool(x, kernel_size=kernel).view(x.size(0), x.size(1)))
        return F.softmax(x, dim=1)


STRANGERS: dict[str, tuple[str, Build, tuple[tuple[str, ...], ...]]] = {
    "unfolded": ("lenet", Unfolded, (
        (), ("conv-flip",), ("weight-transpose", "fc-bias"), ("flatten-order", "softmax-twice"),
        ("conv-bias", "flatten-order"),
    )),
    "looped": ("caffenet", Looped, (
        (), ("flatten-order", "fc-bias"), ("lrn-missing",), ("lrn-missing", "flatten-order"),
    )),
    "looped_size": ("caffenet", partial(Looped, size=3), (("lrn-alpha",),)),
    "looped_beta": ("caffenet", partial(Looped, beta=0.5), (("lrn-alpha", "fc-bias"),)),
    "looped_k": ("caffenet", partial(Looped, k=2.0), (("lrn-alpha",),)),
    "scripted": ("caffenet", Scripted, ((), ("lrn-alpha",), ("channel-order", "relu-missing"))),
    "padded": ("resnet18", padded, (("pool-rounding",), ("pool-rounding", "batchnorm-eps"))),
    "measured": ("resnet18", Measured, (
        (), ("pool-rounding",), ("pool-rounding", "pool-kind"),
    )),
}  # fmt: skip
"""Architecture, port and what is planted in it."""
