"""CaffeNet and GOTURN in the style of torchvision: features, classifier, a loop that copies."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Blobs = dict[str, list[Tensor]]


class LRN(nn.Module):
    """Local response normalisation by an average pooling over channels."""

    def __init__(self, size: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        squares = F.pad(x.pow(2).unsqueeze(1), (0, 0, 0, 0, self.size // 2, self.size // 2))
        mean = F.avg_pool3d(squares, (self.size, 1, 1), stride=1).squeeze(1)
        return x / (1 + self.alpha * mean).pow(self.beta)


def features(bugs: frozenset[str]) -> nn.Sequential:
    """Convolutions 0, 4, 8, 10, 12 (as long as nothing is left out)."""
    alpha = 0.05 if "lrn-alpha" in bugs else 0.01

    def stage(pool: nn.Module, norm: nn.Module) -> list[nn.Module]:
        if "lrn-missing" in bugs:
            return [pool]
        return [norm, pool] if "lrn-order" in bugs else [pool, norm]

    groups = 1 if "conv-group" in bugs else 2
    slope = 0.01 if "relu-slope" in bugs else 0.0
    kind = (nn.AvgPool2d if "pool-kind" in bugs else nn.MaxPool2d)(3, 2, ceil_mode=True)
    pad = 1 if "conv-padding" in bugs else 2
    layers: list[nn.Module] = [
        nn.Conv2d(3, 12, 11, stride=4),
        nn.ReLU(inplace=True),
        *stage(nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, alpha, 0.75, 1.0)),
        nn.Conv2d(12, 16, 5, padding=pad, groups=2),
        nn.ReLU(inplace=True),
        *stage(nn.MaxPool2d(3, 2, ceil_mode=True), LRN(5, alpha, 0.75)),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.Identity() if "relu-missing" in bugs else nn.LeakyReLU(slope),
        nn.Conv2d(16, 16, 3, padding=1, groups=groups),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        kind,
    ]
    return nn.Sequential(*layers)


def copy_features(target: nn.Sequential, blobs: Blobs, suffix: str, bugs: frozenset[str]) -> None:
    """Copy conv1 to conv5 of a tower."""
    names = [f"conv{number}{suffix}" for number in range(1, 6)]
    if "weight-swapped" in bugs and not suffix:
        names[3], names[4] = names[4], names[3]
    modules = [module for module in target if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        for module, name in zip(modules, names, strict=True):
            w, b = blobs[name]
            if name.startswith("conv4") and "conv-group" in bugs:
                w = torch.cat([w, w], 1)  # every filter sees both halves
            if name == "conv1" and "channel-order" in bugs:
                w = w.flip(1)
            if name == "conv3" and "weight-not-loaded" in bugs:
                continue
            module.weight.copy_(w)
            module.bias.copy_(torch.zeros_like(b) if name == "conv5" and "conv-bias" in bugs else b)


class CaffeNet(nn.Module):
    """Features and a classifier."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        self.features = features(bugs)
        copy_features(self.features, blobs, "", bugs)
        self.classifier = nn.Sequential(
            nn.Linear(blobs["fc6"][0].shape[1], 64), nn.ReLU(), nn.Dropout(),
            nn.Linear(64, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 20),
        )  # fmt: skip
        with torch.no_grad():
            for place, name in ((0, "fc6"), (3, "fc7"), (6, "fc8")):
                w, b = blobs[name]
                if name == "fc7" and "weight-transpose" in bugs:
                    w = w.t()
                self.classifier[place].weight.copy_(w)
                self.classifier[place].bias.copy_(b)
                if name == "fc8" and "fc-bias" in bugs:
                    self.classifier[place].bias.zero_()
        self.register_buffer("mean", torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1) / 100)

    def forward(self, x: Tensor) -> Tensor:
        if "mean-subtraction" in self.bugs:
            x = x - self.mean
        if "input-scale" in self.bugs:
            x = x * 0.017
        if "crop-offset" in self.bugs:
            x = F.pad(x, (2, 0, 2, 0))[..., :99, :99]
        if "input-resize" in self.bugs:
            x = F.interpolate(F.interpolate(x, size=(112, 112), mode="bilinear"), size=(99, 99))
        x = self.features(x)
        if "flatten-order" in self.bugs:
            x = x.transpose(2, 3)
        x = torch.flatten(x, 1)
        if "dropout-ratio" in self.bugs:
            x = self.classifier[:3](x).mul(0.5)
            x = self.classifier[3:](x)
        else:
            x = self.classifier(x)
        x = torch.softmax(x, 1)
        return torch.softmax(x, 1) if "softmax-twice" in self.bugs else x


class Goturn(nn.Module):
    """Two towers, one head."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        self.target_tower, self.image_tower = features(bugs), features(bugs)
        towers = bugs - {"weight-swapped"}
        exchanged = "weight-swapped" in bugs
        copy_features(self.target_tower, blobs, "_p" if exchanged else "", towers)
        copy_features(self.image_tower, blobs, "" if exchanged else "_p", towers)
        names = ["fc6-new", "fc7-new", "fc7-newb", "fc8-shapes"]
        self.fcs = nn.ModuleList()
        for name in names:
            w, b = blobs[name]
            layer = nn.Linear(w.shape[1], w.shape[0])
            with torch.no_grad():
                if name == "fc6-new" and "weight-reshape" in bugs:
                    w = w.t().contiguous().reshape(w.shape)
                layer.weight.copy_(w)
                layer.bias.copy_(b)
                if name == "fc7-newb" and "weight-not-loaded" in bugs:
                    layer.reset_parameters()
            self.fcs.append(layer)

    def forward(self, target: Tensor, image: Tensor) -> Tensor:
        a, b = self.target_tower(target), self.image_tower(image)
        joined = torch.cat([b, a] if "concat-order" in self.bugs else [a, b], dim=1)
        x = joined.view(joined.size(0), -1)
        for layer in self.fcs[:-1]:
            x = F.relu(layer(x))
            x = F.dropout(x, 0.5, training="dropout-active" in self.bugs)
            if "dropout-ratio" in self.bugs:
                x = x * 0.5  # as dropout was in its first paper
        return self.fcs[-1](x)


CAFFENET_BUGS = (
    "lrn-alpha", "lrn-order", "lrn-missing", "pool-kind", "conv-group",
    "conv-padding", "conv-bias", "weight-swapped", "channel-order", "weight-not-loaded",
    "relu-missing", "relu-slope", "weight-transpose", "fc-bias", "mean-subtraction", "input-scale",
    "input-resize", "crop-offset", "flatten-order", "softmax-twice",
    "dropout-ratio",
)  # fmt: skip
GOTURN_BUGS = (
    "lrn-alpha", "lrn-order", "lrn-missing", "conv-group", "channel-order", "weight-swapped",
    "concat-order", "weight-reshape", "weight-not-loaded", "dropout-active", "dropout-ratio",
)  # fmt: skip
