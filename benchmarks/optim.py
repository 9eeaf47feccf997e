"""A step of each update rule beside torch's foreach twin: 25 million parameters in 160 tensors.

OMP_NUM_THREADS=1 python benchmarks/optim.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from torchcaffe import optim

TENSORS = 160
ELEMENTS = 25_000_000 // TENSORS
ROUNDS = 15

Row = tuple[
    type[torch.optim.Optimizer], dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]
]

MOMENTUM: dict[str, Any] = {"lr": 0.01, "momentum": 0.9}
DECAY: dict[str, Any] = {"weight_decay": 0.0005}
ROWS: dict[str, Row] = {
    "SGD": (optim.SGD, MOMENTUM, torch.optim.SGD, MOMENTUM),
    "SGD, decay": (optim.SGD, MOMENTUM | DECAY, torch.optim.SGD, MOMENTUM | DECAY),
    "SGD without momentum": (optim.SGD, {"lr": 0.01}, torch.optim.SGD, {"lr": 0.01}),
    "Nesterov": (optim.Nesterov, MOMENTUM, torch.optim.SGD, MOMENTUM | {"nesterov": True}),
    "AdaGrad": (optim.AdaGrad, {"lr": 0.01}, torch.optim.Adagrad, {"lr": 0.01}),
    "RMSProp": (optim.RMSProp, {"lr": 0.01}, torch.optim.RMSprop, {"lr": 0.01}),
    "AdaDelta": (optim.AdaDelta, MOMENTUM, torch.optim.Adadelta, {"lr": 0.01}),
    "Adam": (optim.Adam, MOMENTUM, torch.optim.Adam, {"lr": 0.01}),
    "Adam, decay": (optim.Adam, MOMENTUM | DECAY, torch.optim.Adam, {"lr": 0.01} | DECAY),
}


def stepper(
    rule: type[torch.optim.Optimizer], settings: dict[str, Any], device: str
) -> Callable[[], Any]:
    params = [torch.nn.Parameter(torch.randn(ELEMENTS, device=device)) for _ in range(TENSORS)]
    for param in params:
        param.grad = torch.randn_like(param)
    return rule(params, **settings).step


def seconds(work: Callable[[], Any], device: str) -> float:
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{TENSORS} tensors of {ELEMENTS:,}, {device}; milliseconds, best and median of {ROUNDS}")
    for name, (rule, settings, peer, peer_settings) in ROWS.items():
        ours = stepper(rule, settings, device)
        theirs = stepper(peer, peer_settings | {"foreach": True}, device)
        # Both run in every round, so that a busy machine is busy for both.
        rounds = [(seconds(ours, device), seconds(theirs, device)) for _ in range(ROUNDS + 2)][2:]
        mine, other = ([1e3 * value for value in column] for column in zip(*rounds, strict=True))
        best, middle = min(mine) / min(other), median(mine) / median(other)
        print(
            f"{name:21} {min(mine):6.1f} {median(mine):6.1f}   torch {min(other):6.1f} "
            f"{median(other):6.1f}   {best:.2f}x {middle:.2f}x"
        )


if __name__ == "__main__":
    main()
