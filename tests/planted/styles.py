"""Right ports in unusual styles: nothing may be found in them."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from planted.alex import LRN, CaffeNet, Goturn
from planted.dense import GoogLeNet
from planted.residual import ResNet18
from planted.small import LeNet

Blobs = dict[str, list[Tensor]]
NO_BUGS = frozenset[str]()


def fused(blobs: Blobs) -> nn.Module:
    """ResNet-18 with every BatchNorm folded into the convolution before it."""
    net = ResNet18(blobs, NO_BUGS).eval()

    def fold(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> tuple[nn.Conv2d, nn.Module]:
        return nn.utils.fuse_conv_bn_eval(conv, bn), nn.Identity()

    net.conv1, net.bn1 = fold(net.conv1, net.bn1)
    for block in (*net.layer1, *net.layer2, *net.layer3):
        block.conv1, block.bn1 = fold(block.conv1, block.bn1)
        block.conv2, block.bn2 = fold(block.conv2, block.bn2)
        if block.downsample is not None:
            block.downsample = fold(*block.downsample)[0]
    return net


def channels_last(blobs: Blobs) -> nn.Module:
    """ResNet-18 in another memory format."""
    return ResNet18(blobs, NO_BUGS).eval().to(memory_format=torch.channels_last)


class Double(nn.Module):
    """CaffeNet in float64."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__()
        self.inner = CaffeNet(blobs, NO_BUGS).eval().double()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.double()).float()


class SplitGroups(nn.Module):
    """CaffeNet with each group of a convolution by itself, as it ran on two cards once."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {
                f"{name}_{i}": nn.Parameter(v.clone())
                for name, vs in blobs.items()
                for i, v in enumerate(vs)
            }
        )

    def both(self, x: Tensor, name: str, padding: int) -> Tensor:
        w, b = self.weights[f"{name}_0"], self.weights[f"{name}_1"]
        half = x.shape[1] // 2
        top = F.conv2d(x[:, :half], w[: len(w) // 2], b[: len(b) // 2], padding=padding)
        low = F.conv2d(x[:, half:], w[len(w) // 2 :], b[len(b) // 2 :], padding=padding)
        return F.relu(torch.cat((top, low), 1))

    def forward(self, x: Tensor) -> Tensor:
        p, lrn = self.weights, LRN(5, 0.01, 0.75)
        pool = partial(F.max_pool2d, kernel_size=3, stride=2, ceil_mode=True)
        x = lrn(pool(F.relu(F.conv2d(x, p["conv1_0"], p["conv1_1"], stride=4))))
        x = lrn(pool(self.both(x, "conv2", 2)))
        x = F.relu(F.conv2d(x, p["conv3_0"], p["conv3_1"], padding=1))
        x = pool(self.both(self.both(x, "conv4", 1), "conv5", 1))
        x = torch.einsum("nchw,ochw->no", x, p["fc6_0"].view(64, *x.shape[1:])) + p["fc6_1"]
        x = torch.addmm(p["fc7_1"], x.relu(), p["fc7_0"].T).relu()
        return torch.nn.Softmax(dim=-1)(x @ p["fc8_0"].T + p["fc8_1"])


class MergedBranches(nn.Module):
    """GoogLeNet whose three 1x1 convolutions of a module are one, cut apart afterwards."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__()
        self.whole = GoogLeNet(blobs, NO_BUGS).eval()
        for name in ("a", "b"):
            part = getattr(self.whole, name)
            firsts = [part.branch1[0], part.branch2[0][0], part.branch3[0][0]]
            merged = nn.Conv2d(firsts[0].in_channels, sum(c.out_channels for c in firsts), 1)
            merged.weight.data = torch.cat([c.weight.data for c in firsts])
            merged.bias.data = torch.cat([c.bias.data for c in firsts])
            part.merged, part.sizes = merged, [c.out_channels for c in firsts]
            part.branch1, part.branch2, part.branch3 = (
                nn.Identity(),
                part.branch2[1],
                part.branch3[1],
            )

    @staticmethod
    def module(part: nn.Module, x: Tensor) -> Tensor:
        one, two, three = part.merged(x).relu().split(part.sizes, dim=1)
        return torch.cat([one, part.branch2(two), part.branch3(three), part.branch4(x)], 1)

    def forward(self, x: Tensor) -> Tensor:
        net = self.whole
        x = net.pool(net.lrn(net.stem2(net.lrn(net.pool(net.stem1(x))))))
        x = net.mean(self.module(net.b, self.module(net.a, x)))
        return torch.softmax(net.classifier(net.drop(x).flatten(1)), 1)


class LastAxisFirst(nn.Module):
    """LeNet for images as (N, H, W, C), with the first matrix's rows in that order."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__()
        self.inner = LeNet(blobs, NO_BUGS)
        w = blobs["ip1"][0]
        side = round((w.shape[1] / 12) ** 0.5)
        self.first = nn.Linear(w.shape[1], w.shape[0])
        self.first.weight.data = w.view(-1, 12, side, side).permute(0, 2, 3, 1).reshape(w.shape)
        self.first.bias.data = blobs["ip1"][1].clone()

    def forward(self, x: Tensor) -> Tensor:
        p = self.inner
        x = F.conv2d(x, p.conv1_w) + p.conv1_b.view(1, -1, 1, 1)
        x = F.conv2d(F.max_pool2d(x, 3, 2, ceil_mode=True), p.conv2_w, p.conv2_b)
        x = F.max_pool2d(x, 2).permute(0, 2, 3, 1).flatten(1)
        x = F.relu(self.first(x))
        x = F.relu(x @ p.fc[2] + p.fc[3])
        return torch.exp(F.log_softmax(x @ p.fc[4] + p.fc[5], 1))


class OneTower(nn.Module):
    """GOTURN whose two towers run as one, with twice the channels and groups."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__()
        pair = Goturn(blobs, NO_BUGS).eval()
        self.layers, self.fcs = nn.ModuleList(), pair.fcs
        for a, b in zip(pair.target_tower, pair.image_tower, strict=True):
            self.layers.append(self._joined(a, b) if isinstance(a, nn.Conv2d) else a)

    @staticmethod
    def _joined(a: nn.Conv2d, b: nn.Conv2d) -> nn.Conv2d:
        both = nn.Conv2d(
            2 * a.in_channels, 2 * a.out_channels, a.kernel_size, a.stride, a.padding,
            groups=2 * a.groups,
        )  # fmt: skip
        both.weight.data = torch.cat([a.weight.data, b.weight.data])
        both.bias.data = torch.cat([a.bias.data, b.bias.data])
        return both

    def forward(self, target: Tensor, image: Tensor) -> Tensor:
        x = torch.cat([target, image], 1)
        for layer in self.layers:
            if isinstance(layer, (nn.LocalResponseNorm, LRN)):
                x = torch.cat([layer(half) for half in x.chunk(2, 1)], 1)
            else:
                x = layer(x)
        x = x.flatten(1)
        for place, layer in enumerate(self.fcs):
            x = layer(x).relu() if place < 3 else layer(x)
        return x


def sequential(blobs: Blobs) -> nn.Module:
    """CaffeNet as one list of modules."""
    net = CaffeNet(blobs, NO_BUGS)
    return nn.Sequential(*net.features, nn.Flatten(), *net.classifier, nn.Softmax(1)).eval()


STYLES = {
    "fused": ("resnet18", fused),
    "channels_last": ("resnet18", channels_last),
    "double": ("caffenet", Double),
    "split_groups": ("caffenet", SplitGroups),
    "sequential": ("caffenet", sequential),
    "merged_branches": ("googlenet", MergedBranches),
    "last_axis_first": ("lenet", LastAxisFirst),
    "one_tower": ("goturn", OneTower),
}
