"""The most used layers, forward and with backward, beside the plain torch operator nearest to each.

python benchmarks/layers.py [--only NAME] [--rounds N]

Each layer is a step of a net that was built from a prototxt. Layer and operator run in turn on one
thread, measured in processor time; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from _peers import in_turn
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe import proto
from torchcaffe.build import apply
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter

LIMIT = 1.15
IMAGES = (16, 64, 56, 56)


@dataclass(frozen=True)
class Case:
    """A layer, its bottoms (one of integers: so many classes), and its peer.

    The peer is a function or a module; ``why`` says what makes the layer slower where it is.
    """

    layer: str
    peer: Callable[..., Any]
    bottoms: Sequence[tuple[int, ...]] = (IMAGES,)
    phase: str = "TEST"
    tops: int = 1
    classes: int | None = None
    why: str = ""


def conv(spec: str, kind: str = "Convolution") -> str:
    return f'type: "{kind}" convolution_param {{ {spec} weight_filler {{ type: "xavier" }} }}'


class ChannelScale(nn.Module):
    """A scale and shift for each of 64 channels, as torch writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 1, 1))
        self.bias = nn.Parameter(torch.zeros(64, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


def cross_entropy(x: Tensor, label: Tensor) -> Tensor:
    return functional.cross_entropy(x, label.long())


CASES = {
    "Convolution 3x3": Case(
        conv("num_output: 64 kernel_size: 3 pad: 1"), nn.Conv2d(64, 64, 3, padding=1)
    ),
    "Convolution 1x1": Case(conv("num_output: 64 kernel_size: 1"), nn.Conv2d(64, 64, 1)),
    "Convolution, depthwise": Case(
        conv("num_output: 64 kernel_size: 3 pad: 1 group: 64"),
        nn.Conv2d(64, 64, 3, padding=1, groups=64),
    ),
    "Deconvolution": Case(
        conv("num_output: 16 kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
        nn.ConvTranspose2d(64, 16, 4, stride=2, padding=1),
    ),
    "InnerProduct": Case(
        'type: "InnerProduct" inner_product_param { num_output: 1000 '
        'weight_filler { type: "xavier" } }',
        nn.Sequential(nn.Flatten(), nn.Linear(2048, 1000)),
        bottoms=((64, 2048, 1, 1),),
    ),
    "Pooling, MAX": Case(
        'type: "Pooling" pooling_param { pool: MAX kernel_size: 3 stride: 2 }',
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
    ),
    "Pooling, AVE": Case(
        'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 }',
        nn.AvgPool2d(3, stride=2, ceil_mode=True),
    ),
    "Pooling, global AVE": Case(
        'type: "Pooling" pooling_param { pool: AVE global_pooling: true }',
        nn.AdaptiveAvgPool2d(1),
        bottoms=((16, 2048, 7, 7),),
        why="adds pixel after pixel, as Caffe does; torch adds in vectors",
    ),
    "LRN": Case(
        'type: "LRN" lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }',
        nn.LocalResponseNorm(5, alpha=0.0001, beta=0.75),
    ),
    "BatchNorm, TEST": Case('type: "BatchNorm"', nn.BatchNorm2d(64, affine=False).eval()),
    "BatchNorm, TRAIN": Case('type: "BatchNorm"', nn.BatchNorm2d(64, affine=False), phase="TRAIN"),
    "Scale": Case('type: "Scale" scale_param { bias_term: true }', ChannelScale()),
    "ReLU": Case('type: "ReLU"', functional.relu),
    "PReLU": Case('type: "PReLU"', nn.PReLU(64)),
    "ELU": Case(
        'type: "ELU"',
        functional.elu,
        why="exp has the bits of C's expf, by a polynomial in float64",
    ),
    "Sigmoid": Case(
        'type: "Sigmoid"',
        torch.sigmoid,
        why="in float64, rounded once, as Caffe does: twice the bytes, half the lanes",
    ),
    "TanH": Case('type: "TanH"', torch.tanh),
    "Power, square": Case(
        'type: "Power" power_param { power: 2 scale: 0.5 shift: 1 }',
        lambda x: (x * 0.5 + 1).square(),
    ),
    "Power, line": Case('type: "Power" power_param { scale: 0.5 shift: 1 }', lambda x: x * 0.5 + 1),
    "Dropout, TRAIN": Case(
        'type: "Dropout"', functional.dropout, bottoms=((64, 4096),), phase="TRAIN"
    ),
    "Eltwise, SUM": Case('type: "Eltwise"', torch.add, bottoms=(IMAGES, IMAGES)),
    "Eltwise, PROD": Case(
        'type: "Eltwise" eltwise_param { operation: PROD }', torch.mul, bottoms=(IMAGES, IMAGES)
    ),
    "Eltwise, MAX": Case(
        'type: "Eltwise" eltwise_param { operation: MAX }',
        torch.maximum,
        bottoms=(IMAGES, IMAGES),
        why="a second pass, as a NaN of the first bottom does not win",
    ),
    "Concat": Case('type: "Concat"', lambda *x: torch.cat(x, 1), bottoms=(IMAGES, IMAGES)),
    "Slice": Case(
        'type: "Slice"', lambda x: torch.chunk(x, 2, 1), tops=2, why="a view: microseconds"
    ),
    "Flatten": Case('type: "Flatten"', lambda x: torch.flatten(x, 1), why="a view: microseconds"),
    "Softmax": Case('type: "Softmax"', lambda x: torch.softmax(x, 1), bottoms=((64, 1000),)),
    "SoftmaxWithLoss": Case(
        'type: "SoftmaxWithLoss"',
        cross_entropy,
        bottoms=((64, 1000), (64,)),
        classes=1000,
        why="checked labels, clamped logarithms: 30 microseconds, whatever the size",
    ),
    "SoftmaxWithLoss, pixels": Case(
        'type: "SoftmaxWithLoss"',
        cross_entropy,
        bottoms=((4, 21, 224, 224), (4, 224, 224)),
        classes=21,
        why="probabilities first, which torch leaves to the backward pass",
    ),
    "SigmoidCrossEntropyLoss": Case(
        'type: "SigmoidCrossEntropyLoss"',
        functional.binary_cross_entropy_with_logits,
        bottoms=((256, 1000), (256, 1000)),
        classes=2,
        why="Caffe's steps one by one; its gradient's sigmoid is in float64",
    ),
}


def build(case: Case) -> tuple[Callable[..., Sequence[Tensor]], list[Tensor]]:
    """The layer as a function of its bottoms, and its parameters."""
    lines = []
    for index, shape in enumerate(case.bottoms):
        dims = " ".join(f"dim: {size}" for size in shape)
        lines.append(
            f'layer {{ name: "b{index}" type: "Input" top: "b{index}" '
            f"input_param {{ shape {{ {dims} }} }} }}"
        )
    bottoms = " ".join(f'bottom: "b{index}"' for index in range(len(case.bottoms)))
    tops = " ".join(f'top: "t{index}"' for index in range(case.tops))
    lines.append(f'layer {{ name: "layer" {case.layer} {bottoms} {tops} }}')
    net = CaffeNet(proto.parse_text("\n".join(lines), NetParameter), case.phase, seed=1701)
    step = net.steps[-1]
    for name, buffer in net.named_buffers():
        buffer.fill_(0 if name.endswith("mean") else 1)

    def layer(*inputs: Tensor) -> Sequence[Tensor]:
        return apply(step.function, step.module, inputs)

    return layer, [value for value in net.parameters() if value.requires_grad]


def as_tuple(value: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def backward_of(
    layer: Callable[..., Any], bottoms: Sequence[Tensor], parameters: Sequence[Tensor]
) -> Callable[[], Any]:
    """One forward and backward pass, for the gradients of all bottoms and parameters."""
    wanted = [x for x in (*bottoms, *parameters) if x.requires_grad]
    grads = [torch.randn_like(top) for top in as_tuple(layer(*bottoms))]
    return lambda: torch.autograd.grad(as_tuple(layer(*bottoms)), wanted, grads)


def measure(case: Case, rounds: int) -> tuple[float, float]:
    """Our time as a part of torch's, forward and with backward."""
    layer, parameters = build(case)
    peer = case.peer
    peers = list(peer.parameters()) if isinstance(peer, nn.Module) else []
    generator = torch.Generator().manual_seed(1701)
    bottoms = [torch.randn(shape, generator=generator) for shape in case.bottoms]
    if case.classes:
        drawn = torch.randint(case.classes, case.bottoms[-1], generator=generator)
        bottoms[-1] = drawn.float()
    with torch.no_grad():
        forward = in_turn(
            {"torch": lambda: peer(*bottoms), "torchcaffe": lambda: layer(*bottoms)},
            rounds=rounds,
            peer="torch",
            clock=time.process_time,
        )
    for x in bottoms[: len(bottoms) - bool(case.classes)]:
        x.requires_grad_()
    both = in_turn(
        {
            "torch, with backward": backward_of(peer, bottoms, peers),
            "torchcaffe, with backward": backward_of(layer, bottoms, parameters),
        },
        rounds=rounds,
        peer="torch, with backward",
        clock=time.process_time,
    )
    return forward["torchcaffe"], both["torchcaffe, with backward"]


def keep_memory() -> None:
    """Let freed memory stay with the process, where its C library is glibc.

    Otherwise one of the two gets pages that are new from the kernel, which takes longer than most
    layers, and chance decides which.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, the most that it takes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", metavar="NAME", help="cases that begin so")
    parser.add_argument("--rounds", type=int, default=31)
    args = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    torch.manual_seed(1701)
    chosen = {name: case for name, case in CASES.items() if name.startswith(args.only)}
    if not chosen:
        parser.error(f"no case begins with {args.only}; there are {', '.join(CASES)}")
    table = {}
    for name, case in chosen.items():
        print(name, flush=True)
        table[name] = measure(case, args.rounds)
    print(f"\ntimes of torch's, median of {args.rounds} rounds")
    print(f"{'':<26} forward  with backward")
    for name, (forward, both) in table.items():
        slow = max(forward, both) > LIMIT
        why = (chosen[name].why or "not explained") if slow else ""
        print(f"{name:<26} {forward:7.2f} {both:14.2f}  {why}".rstrip())


if __name__ == "__main__":
    main()
