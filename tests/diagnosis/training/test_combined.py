"""Two and three mistakes at once: all are named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from diagnosis.training.ports import (
    ADAM,
    FIXED,
    KITS,
    SGD,
    STEP,
    diagnosed,
    expect,
    of,
    port,
    solver,
)
from diagnosis.training.test_planted_causes import CAFFE_STEP, REDUCED, TORCH_SGD, norm, stepping

ALL = ("lenet", "tracker", "residual")
ADAM_PORT = of(torch.optim.Adam)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("identifiers", "recipe", "options"),
    [
        ("base-lr lr-multiplier", STEP + SGD, {"lr": 0.1, "bias_rate": 0.5}),
        (
            "momentum-form bias-decay lr-multiplier",
            STEP + SGD,
            {"optimizer": TORCH_SGD, "bias_decay": 1.0, "bias_rate": 0.5},
        ),
        ("momentum decay-multiplier", STEP + SGD, {"momentum": 0.5, "decay": 0.001}),
        ("adam-epsilon bias-decay", FIXED + ADAM, {"optimizer": ADAM_PORT, "bias_decay": 1.0}),
        ("adam-epsilon base-lr", FIXED + ADAM, {"optimizer": ADAM_PORT, "lr": 0.003}),
        (
            "adam-epsilon decay-multiplier lr-multiplier",
            FIXED + ADAM,
            {"optimizer": ADAM_PORT, "decay": 0.002, "bias_rate": 0.5},
        ),
        (
            "adam-epsilon decay-form base-lr",
            FIXED + ADAM,
            {"optimizer": of(torch.optim.AdamW), "lr": 0.001},
        ),
    ],
)
def test_optimizers(name: str, identifiers: str, recipe: str, options: dict[str, Any]) -> None:
    kit = KITS[name]
    members = CAFFE_STEP if recipe.startswith(STEP) else lambda *_: {}
    found = diagnosed(port(kit, members=members, **options), solver(kit, recipe))
    expect(found, *identifiers.split())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("identifiers", "recipe", "step", "options"),
    [
        ("gradient-accumulated loss-normalisation", "", {"zero": False}, {}),
        ("iter-size loss-normalisation momentum", "", {"batches": 3}, {"momentum": 0.8}),
        ("clip-order loss-normalisation base-lr", "clip_gradients: 0.1", {}, {"lr": 0.02}),
        (
            "iter-size clip-order bias-decay",
            "",
            {"batches": 2, "clip": norm(0.1)},
            {"bias_decay": 1.0},
        ),
    ],
)
def test_steps(
    name: str, identifiers: str, recipe: str, step: dict[str, Any], options: dict[str, Any]
) -> None:
    kit = KITS[name]
    if "loss-normalisation" in identifiers:
        step = {**step, "loss": REDUCED[name]}
    build = port(kit, members=stepping(kit, **step), **options)
    found = diagnosed(build, solver(kit, FIXED + SGD + recipe))
    expect(found, *identifiers.split())
