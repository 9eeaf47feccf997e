"""GoogLeNet in modules named by their author, and an FCN written for pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Blobs = dict[str, list[Tensor]]


def conv(w: Tensor, b: Tensor | None, **kwargs: int) -> nn.Conv2d:
    """A convolution that holds these weights."""
    layer = nn.Conv2d(w.shape[1], w.shape[0], w.shape[2], bias=b is not None, **kwargs)
    with torch.no_grad():
        layer.weight.copy_(w)
        if b is not None:
            layer.bias.copy_(b)
    return layer


class ConvReLU(nn.Sequential):
    """A convolution and its ReLU."""

    def __init__(self, blobs: list[Tensor], relu: bool = True, **kwargs: int) -> None:
        super().__init__(conv(blobs[0], blobs[1], **kwargs), nn.ReLU() if relu else nn.Identity())


class Inception(nn.Module):
    """Four branches."""

    def __init__(self, blobs: Blobs, unit: str, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs

        def part(name: str, **kwargs: int) -> ConvReLU:
            values = blobs[f"inception_{unit}/{name}"]
            if name == "5x5" and "conv-bias" in bugs:
                values = [values[0], torch.zeros_like(values[1])]
            if name == "3x3" and "conv-flip" in bugs:
                values = [values[0].rot90(2, (2, 3)), values[1]]
            return ConvReLU(values, relu=not (name == "3x3" and "relu-missing" in bugs), **kwargs)

        pad = 1 if "conv-padding" in bugs else 2
        self.branch1 = part("1x1")
        self.branch2 = nn.Sequential(part("3x3_reduce"), part("3x3", padding=1))
        five = part("5x5", padding=pad)
        self.branch3 = nn.Sequential(part("5x5_reduce"), five)
        if "conv-padding" in bugs:
            self.branch3.append(nn.ZeroPad2d(1))  # so that the shapes fit
        kind = nn.AvgPool2d if "pool-kind" in bugs else nn.MaxPool2d
        self.branch4 = nn.Sequential(kind(3, stride=1, padding=1), part("pool_proj"))

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]
        if "concat-order" in self.bugs:
            parts[1], parts[2] = parts[2], parts[1]
        return torch.cat(parts, 1)


class GoogLeNet(nn.Module):
    """Stem, 3a, 3b, classifier."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        w1 = blobs["conv1/7x7_s2"]
        if "channel-order" in bugs:
            w1 = [w1[0].flip(1), w1[1]]
        self.stem1 = ConvReLU(w1, stride=2, padding=3)
        w2 = blobs["conv2/3x3"]
        if "weight-not-loaded" in bugs:
            w2 = [torch.randn_like(w2[0]) * 0.05, torch.zeros_like(w2[1])]
        self.stem2 = ConvReLU(w2, padding=1)
        alpha = 0.002 if "lrn-alpha" in bugs else 0.01
        self.lrn = nn.LocalResponseNorm(5, alpha=alpha, beta=0.75, k=1)
        here = frozenset[str]()
        self.a, self.b = Inception(blobs, "3a", here), Inception(blobs, "3b", bugs)
        if "weight-swapped" in bugs:
            self.a.branch1, self.a.branch4[1] = self.a.branch4[1], self.a.branch1
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.mean = nn.AvgPool2d(
            3, 2, 1, ceil_mode=True, count_include_pad="pool-padding-average" not in bugs
        )
        self.drop = nn.Dropout(0.4)
        w, b = blobs["loss3/classifier"]
        self.classifier = nn.Linear(w.shape[1], w.shape[0])
        self.classifier.weight.data = w.clone()
        self.classifier.bias.data = torch.zeros_like(b) if "fc-bias" in bugs else b.clone()

    def forward(self, x: Tensor) -> Tensor:
        bugs = self.bugs
        if "mean-subtraction" in bugs:
            x = x - torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
        if "crop-offset" in bugs:
            x = F.pad(x, (1, -1, 1, -1))
        x = self.pool(self.stem1(x))
        if "lrn-missing" not in bugs:
            x = self.lrn(x)
        x = self.stem2(x)
        x = self.lrn(self.pool(x)) if "lrn-order" in bugs else self.pool(self.lrn(x))
        x = self.b(self.a(x))
        x = self.mean(x)
        if "dropout-active" in bugs:
            x = F.dropout(x, 0.4)
        else:
            x = self.drop(x)
        if "flatten-order" in bugs:
            x = x.permute(0, 2, 3, 1).contiguous()
        x = self.classifier(x.flatten(1))
        x = F.softmax(x, 1)
        return F.softmax(x, 1) if "softmax-twice" in bugs else x


GOOGLENET_BUGS = (
    "channel-order", "weight-not-loaded", "lrn-alpha", "lrn-missing", "lrn-order", "weight-swapped",
    "pool-padding-average", "pool-kind", "fc-bias", "mean-subtraction", "crop-offset",
    "dropout-active", "flatten-order", "concat-order", "conv-bias", "conv-flip", "conv-padding",
    "relu-missing", "softmax-twice",
)  # fmt: skip


class FCN(nn.Module):
    """Scores for every pixel."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        self.enc1 = conv(*blobs["conv1"], padding=8)
        mean, variance, factor = blobs["bn1"]
        self.bn = nn.BatchNorm2d(12, eps=1e-5 if "batchnorm-eps" in bugs else 1e-3)
        gamma, beta = blobs["scale1"]
        divisor = 1 if "batchnorm-scale-factor" in bugs else factor
        self.bn.load_state_dict({
            "running_mean": mean / divisor, "running_var": variance / divisor,
            "weight": gamma, "bias": beta * 0 if "scale-bias-missing" in bugs else beta,
            "num_batches_tracked": torch.tensor(0),
        })  # fmt: skip
        slopes = blobs["prelu1"][0]
        self.prelu = nn.PReLU(1 if "prelu-shared" in bugs else 12)
        self.prelu.weight.data = slopes[:1].clone() if "prelu-shared" in bugs else slopes.clone()
        rate = 1 if "conv-dilation" in bugs else 2
        self.enc2 = conv(*blobs["conv2"], padding=rate, dilation=rate)
        self.enc3 = conv(*blobs["conv3"], padding=1)
        self.score = conv(*blobs["score"])
        w, b = blobs["score_pool"]
        self.score_skip = conv(w, torch.zeros_like(b) if "conv-bias" in bugs else b)
        self.up = nn.ConvTranspose2d(5, 5, 4, 2, bias=False, groups=5)
        self.up.weight.data = blobs["upscore2"][0].clone()
        self.final = nn.ConvTranspose2d(
            5, 5, 4, 2, padding=0 if "deconv-padding" in bugs else 1, bias=False
        )
        w = blobs["upscore"][0]
        if "weight-transpose" in bugs:
            w = w.transpose(0, 1)
        if "conv-flip" in bugs:
            w = w.flip(-1, -2)
        self.final.weight.data = w.clone()

    def forward(self, image: Tensor) -> Tensor:
        bugs = self.bugs
        h, w = image.shape[2:]
        x = self.prelu(self.bn(self.enc1(image)))
        x = F.max_pool2d(x, 2, ceil_mode="pool-rounding" not in bugs)
        if "pool-rounding" in bugs:
            x = F.pad(x, (0, 1, 0, 1))
        x = F.leaky_relu(self.enc2(x), 0.0 if "relu-slope" in bugs else 0.1)
        skip = self.score_skip(x)
        x = F.avg_pool2d(
            x, 3, 2, 1, ceil_mode=True, count_include_pad="pool-padding-average" not in bugs
        )
        x = self.score(F.dropout(self.enc3(x).relu(), 0.5, self.training))
        if "upsample-align-corners" in bugs:
            x = F.interpolate(x, size=(34, 38), mode="bilinear", align_corners=True)
        else:
            x = self.up(x)
        size = skip.shape[2:]
        x = x[:, :, 1 : 1 + size[0], 1 : 1 + size[1]]
        x = x + (skip if "eltwise-coeff" in bugs else skip * 0.3)
        x = self.final(x)
        top, left = (9, 7) if "crop-axis" in bugs else (7, 9)
        if "crop-offset" in bugs:
            top, left = (x.shape[2] - h) // 2, (x.shape[3] - w) // 2
        x = x[..., top : top + h, left : left + w]
        return torch.softmax(x, dim=3 if "softmax-axis" in bugs else 1)


FCN_BUGS = (
    "batchnorm-eps", "batchnorm-scale-factor", "scale-bias-missing", "prelu-shared",
    "conv-dilation", "conv-bias", "deconv-padding", "weight-transpose", "conv-flip", "relu-slope",
    "pool-padding-average", "upsample-align-corners", "eltwise-coeff", "crop-axis", "crop-offset",
    "softmax-axis",
)  # fmt: skip


class UNet(nn.Module):
    """Down, up, and a skip between."""

    def __init__(self, blobs: Blobs, bugs: frozenset[str]) -> None:
        super().__init__()
        self.bugs = bugs
        self.down1 = conv(*blobs["down1"])
        slopes = blobs["down1_prelu"][0]
        self.act = nn.PReLU(8)
        self.act.weight.data = slopes.mean().repeat(8) if "prelu-shared" in bugs else slopes.clone()
        rate = 1 if "conv-dilation" in bugs else 2
        self.down2 = conv(*blobs["down2"], padding=rate, dilation=rate)
        self.kernel = nn.Parameter(blobs["up1"][0].clone())
        self.last, self.score = conv(*blobs["last"], padding=1), conv(*blobs["score"])

    def forward(self, data: Tensor, like: Tensor) -> Tensor:
        bugs = self.bugs
        skip = self.act(self.down1(data))
        x = torch.max_pool2d(skip, 2)
        x = torch.relu_(self.down2(x))
        if "upsample-align-corners" in bugs:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        elif "deconv-padding" in bugs:
            x = F.conv_transpose2d(x, self.kernel, stride=2, groups=12)
            x = x[..., :36, :44]
        else:
            x = F.conv_transpose2d(x, self.kernel, stride=2, padding=1, groups=12)
        pair = (x, skip) if "concat-order" in bugs else (skip, x)
        x = F.relu(self.last(torch.cat(pair, 1)), inplace=True)
        x = self.score(x)
        h, w = like.shape[-2:]
        top, left = (2, 5) if "crop-axis" in bugs else (5, 2)
        if "crop-offset" in bugs:
            top = left = 0
        return x.narrow(2, top, h).narrow(3, left, w)


UNET_BUGS = (
    "prelu-shared", "conv-dilation", "upsample-align-corners", "deconv-padding", "concat-order",
    "crop-axis", "crop-offset",
)  # fmt: skip
