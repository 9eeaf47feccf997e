"""The rules and schedules that ports are held against are torchcaffe's own, roundings apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from torchcaffe import optim
from torchcaffe.diagnosis.training.recipe import Rule
from torchcaffe.diagnosis.training.rules import Updater
from torchcaffe.diagnosis.training.schedules import caffe_schedule
from torchcaffe.diagnosis.training.updates import class_of
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.lr_policy import learning_rate

RULES: dict[str, tuple[Any, dict[str, float]]] = {
    "SGD": (optim.SGD, {"momentum": 0.9}),
    "Nesterov": (optim.Nesterov, {"momentum": 0.9}),
    "AdaGrad": (optim.AdaGrad, {"delta": 1e-6}),
    "RMSProp": (optim.RMSProp, {"rms_decay": 0.98, "delta": 1e-6}),
    "AdaDelta": (optim.AdaDelta, {"momentum": 0.95, "delta": 1e-6}),
    "Adam": (optim.Adam, {"momentum": 0.9, "momentum2": 0.999, "delta": 1e-6}),
}


@pytest.mark.parametrize("decay", ["L2", "L1"])
@pytest.mark.parametrize("kind", RULES)
def test_rules(kind: str, decay: str) -> None:
    make, settings = RULES[kind]
    usual = {"momentum": 0.0, "momentum2": 0.999, "rms_decay": 0.99, "delta": 1e-8}
    rule = Rule(kind, **{**usual, **settings}, decay_form=decay)
    generator = torch.Generator().manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(50, generator=generator).double())
    made = make([weight], lr=0.01, weight_decay=0.1, regularization_type=decay, **settings)
    mine, updater = weight.detach().clone(), Updater(rule, weight.detach())
    for rate in (0.01, 0.01, 0.001, 0.01):
        grad = torch.randn(50, generator=generator).double()
        weight.grad, made.param_groups[0]["lr"] = grad, rate
        before = weight.detach().clone()
        made.step()
        step = updater.step(mine, grad, rate, 0.1)
        size = (before - weight.detach()).abs().max()
        assert (before - weight.detach() - step).abs().max() <= class_of(rule) * size
        mine = mine - step


@pytest.mark.parametrize(
    ("kind", "settings", "rule"),
    [
        (torch.optim.SGD, {"momentum": 0.9}, {"kind": "SGD", "rate_inside": False}),
        (
            torch.optim.SGD,
            {"momentum": 0.9, "nesterov": True},
            {"kind": "Nesterov", "rate_inside": False},
        ),
        (torch.optim.Adam, {"eps": 1e-3}, {"kind": "Adam", "epsilon": "corrected"}),
        (
            torch.optim.AdamW,
            {"eps": 1e-3},
            {"kind": "Adam", "epsilon": "corrected", "decay_form": "decoupled"},
        ),
    ],
)
def test_torchs_relatives(kind: Any, settings: dict[str, Any], rule: dict[str, Any]) -> None:
    usual = {"momentum": 0.9, "momentum2": 0.999, "rms_decay": 0.99, "delta": 1e-3}
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 40).double())
    made = kind([weight], lr=0.01, weight_decay=0.1, **settings)
    mine, updater = weight.detach().clone(), Updater(Rule(**{**usual, **rule}), weight.detach())
    for rate in (0.01, 0.001, 0.01):
        weight.grad = torch.linspace(1, 2, 40).double() * rate
        made.param_groups[0]["lr"] = rate
        made.step()
        mine = mine - updater.step(mine, weight.grad, rate, 0.1)
        torch.testing.assert_close(weight.detach(), mine, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "fields",
    [
        'lr_policy: "fixed"',
        'lr_policy: "step" gamma: 0.5 stepsize: 30',
        'lr_policy: "exp" gamma: 0.99',
        'lr_policy: "inv" gamma: 0.01 power: 0.75',
        'lr_policy: "multistep" gamma: 0.1 stepvalue: 50 stepvalue: 90',
        'lr_policy: "poly" power: 2',
        'lr_policy: "sigmoid" gamma: 0.1 stepsize: 60',
    ],
)
def test_schedules(fields: str) -> None:
    solver = parse_text(f"base_lr: 1 max_iter: 120 {fields}", SolverParameter)
    step, expected = 0, []
    for iteration in range(120):
        rate, step = learning_rate(solver, iteration, step)
        expected.append(rate)
    np.testing.assert_allclose(caffe_schedule(solver).rates(120), expected, rtol=1e-5)
