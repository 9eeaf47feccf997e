"""GOTURN, as PyTorch source.

9.999999747378752e-05 is 0.0001 as float32 has it: Caffe computes with that.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def running_sums(
    x: Tensor, size: int, factor: float = 1.0, start: float = 0.0, tail_first: bool = False
) -> Tensor:
    """start + factor * the sum over ``size`` neighbouring channels, each made from the one before.

    One channel enters and one leaves (first with ``tail_first``), and what rounding they leave
    behind stays, as in Caffe: large channels blur the sums of all that follow them.
    """
    half = size // 2
    terms = functional.pad(x.transpose(0, 1), (0, 0, 0, 0, 0, 0, half, half)).contiguous()
    sums = terms.new_empty(x.shape[1], *terms.shape[1:])
    enter, leave = (factor, -factor)[:: -1 if tail_first else 1]
    rows, heads = sums.unbind(0), terms.unbind(0)
    rows[0].fill_(start)
    for head in heads[:size]:
        rows[0].add_(head, alpha=factor)
    for c in range(1, len(rows)):
        first, second = (heads[c + size - 1], heads[c - 1])[:: -1 if tail_first else 1]
        torch.add(rows[c - 1], first, alpha=enter, out=rows[c]).add_(second, alpha=leave)
    return sums.transpose(0, 1)


def window_sums(x: Tensor, size: int, axes: tuple[int, ...]) -> Tensor:
    """The sum over the ``size`` neighbours along each of ``axes``, zeros past the end; as x."""
    half = size // 2
    for axis in axes:
        ends = [0, 0] * (x.dim() - 1 - axis) + [half, half]
        x = functional.pad(x, ends).unfold(axis, size, 1).sum(-1)
    return x


class Normalize(torch.autograd.Function):
    """x * s ** -beta with s = k + alpha * the sum of x * x over the window.

    Autograd's own steps would take more than twice the time. On the CPU, sums over channels run
    along as Caffe's do; compiled and elsewhere, each is made for itself.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, size: int, axes: tuple[int, ...], alpha: float, beta: float, k: float
    ) -> Tensor:
        """(N, C, H, W) to the same."""
        ctx.runs = axes == (1,) and x.is_cpu and not torch.compiler.is_compiling()
        if ctx.runs:
            scale = running_sums(x * x, size, alpha, k)
        else:
            scale = window_sums(x * x, size, axes).mul_(alpha).add_(k)
        y = scale.pow(-beta).mul_(x)
        ctx.save_for_backward(x, scale, y)
        ctx.size, ctx.axes, ctx.beta, ctx.factor = size, axes, beta, 2 * alpha * beta
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """dy * s ** -beta - 2 * alpha * beta * x * the sum of dy * y / s over the window."""
        x, scale, y = ctx.saved_tensors
        ratio = (dy * y).div_(scale)
        if ctx.runs:
            shared = running_sums(ratio, ctx.size, tail_first=True)
        else:
            shared = window_sums(ratio, ctx.size, ctx.axes)
        dx = scale.pow(-ctx.beta).mul_(dy).sub_(shared.mul_(x), alpha=ctx.factor)
        return dx, None, None, None, None, None


def across_channels(
    x: Tensor, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha / size * the sum of squares over ``size`` channels) ** beta.

    functional.local_response_norm computes the same, several times slower.
    """
    y: Tensor = Normalize.apply(x, size, (1,), alpha / size, beta, k)
    return y


class Block(nn.Module):
    """One of 2 parts of the net that are alike.

    It takes (N, 3, 227, 227) and gives (N, 256, 6, 6).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, kernel_size=11, stride=4)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)

        self.conv2 = nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)

        self.conv3 = nn.Conv2d(256, 384, kernel_size=3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2)
        self.relu4 = nn.ReLU()
        self.conv5 = nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, stride=2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        conv1 = self.relu1(self.conv1(x))  # (N, 96, 55, 55)
        pool1 = self.pool1(conv1)  # (N, 96, 27, 27)
        norm1 = across_channels(pool1, 5, 9.999999747378752e-05)  # (N, 96, 27, 27)

        conv2 = self.relu2(self.conv2(norm1))  # (N, 256, 27, 27)
        pool2 = self.pool2(conv2)  # (N, 256, 13, 13)
        norm2 = across_channels(pool2, 5, 9.999999747378752e-05)  # (N, 256, 13, 13)

        conv3 = self.relu3(self.conv3(norm2))  # (N, 384, 13, 13)
        conv4 = self.relu4(self.conv4(conv3))  # (N, 384, 13, 13)
        conv5 = self.relu5(self.conv5(conv4))  # (N, 256, 13, 13)
        return self.pool5(conv5)  # (N, 256, 6, 6)


class GOTURN(nn.Module):
    """GOTURN, as Caffe computes it in phase TEST.

    input   target  (N, 3, 227, 227)
            image   (N, 3, 227, 227)
    output  fc8     (N, 4)
    """

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()
        self.block_p = Block()

        self.fc6_new = nn.Linear(18432, 4096)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(0.5)
        self.fc7_new = nn.Linear(4096, 4096)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(0.5)
        self.fc7_newb = nn.Linear(4096, 4096)
        self.relu7b = nn.ReLU()
        self.drop7b = nn.Dropout(0.5)
        self.fc8_shapes = nn.Linear(4096, 4)

    def forward(self, target: Tensor, image: Tensor) -> Tensor:
        block = self.block(target)  # (N, 256, 6, 6)
        block_p = self.block_p(image)  # (N, 256, 6, 6)
        pool5_concat = torch.cat((block, block_p), dim=1)  # (N, 512, 6, 6)

        fc6 = self.drop6(self.relu6(self.fc6_new(torch.flatten(pool5_concat, 1))))  # (N, 4096)
        fc7 = self.drop7(self.relu7(self.fc7_new(fc6)))  # (N, 4096)
        fc7b = self.drop7b(self.relu7b(self.fc7_newb(fc7)))  # (N, 4096)
        return self.fc8_shapes(fc7b)  # (N, 4)
