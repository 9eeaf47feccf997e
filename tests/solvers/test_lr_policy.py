"""Learning rates: Caffe's numbers, and what a policy must be given."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from torchcaffe import optim
from torchcaffe.errors import SolverError
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers import _single
from torchcaffe.solvers._single import expf
from torchcaffe.solvers.lr_policy import FIELDS, check_policy, learning_rate

POLICIES: dict[str, dict[str, Any]] = {
    "fixed": {},
    "step": {"gamma": 0.3, "stepsize": 4},
    "exp": {"gamma": 0.98},
    "inv": {"gamma": 0.01, "power": 0.75},
    "multistep": {"gamma": 0.5, "stepvalue": [3, 3, 7]},
    "poly": {"power": 0.5, "max_iter": 30},
    "sigmoid": {"gamma": 0.2, "stepsize": 15},
}

FORMULAS = {
    "fixed": lambda i, p: 1.0,
    "step": lambda i, p: p.gamma ** (i // p.stepsize),
    "exp": lambda i, p: p.gamma**i,
    "inv": lambda i, p: (1 + p.gamma * i) ** -p.power,
    "multistep": lambda i, p: p.gamma ** (0 if i < 3 else 1 if i < 4 else 2 if i < 7 else 3),
    "poly": lambda i, p: (1 - i / p.max_iter) ** p.power,
    "sigmoid": lambda i, p: 1 / (1 + math.exp(-p.gamma * (i - p.stepsize))),
}


def solver(name: str, **more: Any) -> SolverParameter:
    return SolverParameter(lr_policy=name, base_lr=0.05, **{**POLICIES[name], **more})


def rates(param: SolverParameter, count: int) -> list[float]:
    found, step = [], 0
    for iteration in range(count):
        rate, step = learning_rate(param, iteration, step)
        found.append(rate)
    return found


@pytest.mark.parametrize("name", FIELDS)
def test_the_formula(name: str) -> None:
    param = solver(name)
    check_policy(param)
    found = np.array(rates(param, 30), np.float32)
    wanted = [param.base_lr * FORMULAS[name](i, param) for i in range(30)]
    np.testing.assert_array_max_ulp(found, np.array(wanted, np.float32), maxulp=4)


# The bits of what real Caffe's solver.lr gave at iterations 1, 2, 7, 13 and 29.
RECORDED = {
    "step": "3d4ccccd 3d4ccccd 3c75c290 3ab0f27d 3737757b",
    "exp": "3d48b43a 3d44b09f 3d31cac9 3d1d7eef 3ce3fd85",
    "inv": "3d4b46ff 3d49c7e3 3d42aaba 3d3adcb0 3d2931ef",
    "multistep": "3d4ccccd 3d4ccccd 3bcccccd 3bcccccd 3bcccccd",
    "poly": "3d495b95 3d45db09 3d335266 3d1a2af7 3c159099",
    "sigmoid": "3b3bd701 3b628d80 3c099c4c 3ca460a7 3d410f5d",
}


@pytest.mark.parametrize("name", RECORDED)
def test_real_caffe_s_bits(name: str) -> None:
    found = np.array(rates(solver(name), 30), np.float32).view(np.uint32)
    assert " ".join(f"{found[i]:08x}" for i in (1, 2, 7, 13, 29)) == RECORDED[name]


def test_multistep_catches_up_one_value_a_call() -> None:
    param = solver("multistep", stepvalue=[2, 2, 2])
    assert learning_rate(param, 100, 0)[1] == 1
    assert learning_rate(param, 100, 1)[1] == 2
    assert learning_rate(param, 100, 3)[1] == 3


def test_step_knows_its_step() -> None:
    assert learning_rate(solver("step"), 9, 0)[1] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base_lr: 1", r"lr_policy takes fixed, step, .*sigmoid; it is not given\."),
        (
            'base_lr: 1 lr_policy: "stepp"',
            r's:1:12: lr_policy takes .*; "stepp" is not one\. Did you mean "step"\?',
        ),
        (
            'lr_policy: "fixed"',
            r's:1:1: lr_policy "fixed" needs base_lr, which the solver does not',
        ),
        (
            'base_lr: 1 lr_policy: "step"',
            r's:1:12: lr_policy "step" needs gamma, stepsize, which the solver does not give',
        ),
        ('base_lr: 1 lr_policy: "multistep" gamma: 1', "needs stepvalue"),
        ('base_lr: 1 lr_policy: "exp" gamma: -1', "s:1:29: gamma must not be negative: -1"),
        (
            'base_lr: 1 lr_policy: "sigmoid" gamma: 1 stepsize: 0',
            "s:1:42: stepsize must be positive: 0",
        ),
        (
            'base_lr: 1 lr_policy: "poly" power: 1 max_iter: 0',
            "s:1:39: max_iter must be positive: 0",
        ),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(SolverError, match=words):
        check_policy(parse_text(text, SolverParameter, "s"))


class TestScheduler:
    @staticmethod
    def optimizer(**settings: Any) -> torch.optim.Optimizer:
        weight = torch.nn.Parameter(torch.zeros(1))
        return torch.optim.SGD([weight], **{"lr": 0.05, **settings})

    @pytest.mark.parametrize("name", FIELDS)
    def test_it_gives_the_solver_s_rates(self, name: str) -> None:
        optimizer = self.optimizer()
        scheduler = optim.CaffeLR(optimizer, name, **POLICIES[name])
        found = []
        for _ in range(20):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        assert found == rates(solver(name), 20)

    def test_groups_keep_their_own_base(self) -> None:
        groups = [{"params": [torch.zeros(1)], "lr": rate} for rate in (1.0, 0.5)]
        optimizer = torch.optim.SGD(groups)
        scheduler = optim.CaffeLR(optimizer, "multistep", gamma=0.5, stepvalue=[0, 1])
        assert scheduler.get_last_lr() == [0.5, 0.25]
        optimizer.step()
        scheduler.step()
        assert scheduler.get_last_lr() == [0.25, 0.125]

    def test_its_state_continues(self) -> None:
        fields = POLICIES["multistep"]
        optimizer = self.optimizer()
        scheduler = optim.CaffeLR(optimizer, "multistep", **fields)
        for _ in range(5):
            optimizer.step()
            scheduler.step()
        again = optim.CaffeLR(self.optimizer(), "multistep", **fields)
        again.load_state_dict(scheduler.state_dict())
        optimizer.step()
        scheduler.step()
        again.optimizer.step()
        again.step()
        assert again.get_last_lr() == scheduler.get_last_lr()
        assert again.current_step == scheduler.current_step == 2

    @pytest.mark.parametrize(
        ("name", "fields", "words"),
        [
            ("fixed", {"gamma": 1}, 'lr_policy "fixed" takes no fields; got gamma'),
            ("step", {"gamma": 1, "step_size": 2}, "takes gamma, stepsize; got step_size"),
            ("step", {"gamma": 1}, 'lr_policy "step" needs stepsize'),
            ("cosine", {"t_max": 1}, 'lr_policy takes .*; "cosine" is not one'),
        ],
    )
    def test_refusals(self, name: str, fields: dict[str, Any], words: str) -> None:
        with pytest.raises(SolverError, match=words):
            optim.CaffeLR(self.optimizer(), name, **fields)


def test_a_rate_may_overflow() -> None:
    assert learning_rate(solver("exp", gamma=1e30), 100, 0)[0] == math.inf


def test_without_a_libm_exp_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with_libm = [expf(value / 8) for value in range(-50, 50)]
    monkeypatch.setattr(_single, "_expf", lambda: None)
    without = [expf(value / 8) for value in range(-50, 50)]
    np.testing.assert_array_max_ulp(np.float32(with_libm), np.float32(without), maxulp=1)
