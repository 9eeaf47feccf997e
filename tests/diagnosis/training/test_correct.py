"""Correct ports in other styles: nothing is found in them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnosis.training.ports import (
    ADAM,
    FIXED,
    KITS,
    SGD,
    STEP,
    caffe_sgd,
    diagnosed,
    expect,
    groups,
    port,
    solver,
    uniform,
)
from torchcaffe import optim
from torchcaffe.diagnosis.training import diagnose_training, reference_for, training_port

KIT = KITS["lenet"]


def sequential() -> Any:
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(200, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 5)),
    )
    for layer in (model[0], model[4], model[7]):
        uniform(layer.weight, layer.weight[0].numel())
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(groups(KIT, model), lr=0.01, momentum=0.9)
    return model, optimizer, nn.CrossEntropyLoss()


class Raw(nn.Module):
    """Parameters by themselves, matrices as (inputs, outputs), in another order."""

    def __init__(self) -> None:
        super().__init__()
        shapes = {"b2": (16,), "w2": (200, 16), "b3": (5,), "w3": (16, 5), "w1": (8, 3, 3, 3)}
        for name, shape in {**shapes, "b1": (8,)}.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        uniform(self.w1, 27), uniform(self.w2, 200), uniform(self.w3, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.conv2d(x, self.w1, self.b1).clamp(min=0), 2).flatten(1)
        x = F.dropout((x @ self.w2 + self.b2).relu(), 0.4, self.training)
        return x @ self.w3 + self.b3


class MySGD(torch.optim.Optimizer):
    """Caffe's rule by hand, multipliers in the groups, one rate for all."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr, "lr_mult": 1.0, "decay": 0.0005})
        self.rate = lr

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for param in group["params"]:
                step = self.state[param].setdefault("v", torch.zeros_like(param))
                rate = group["lr"] * group["lr_mult"]
                step.mul_(0.9).add_(param.grad + group["decay"] * param, alpha=rate)
                param.sub_(step)


def raw() -> Any:
    model = Raw()
    biases = [model.b1, model.b2, model.b3]
    optimizer = MySGD(
        [
            {"params": [model.w1, model.w2, model.w3]},
            {"params": biases, "lr_mult": 2.0, "decay": 0.0},
        ],
        0.01,
    )
    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [1000, 2000]),
        "scheduler_interval": "step",
        "loss": lambda x, y: -F.log_softmax(x, 1)[range(len(y)), y].mean(),
    }


class Convolutional(nn.Module):
    """The first matrix as a convolution over all that is left of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.wide = nn.Conv2d(8, 16, 5)
        self.out = nn.Conv2d(16, 5, 1)
        for layer in (self.stem, self.wide, self.out):
            uniform(layer.weight, layer.weight[0].numel())
            nn.init.zeros_(layer.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(x).relu(), 2)
        return self.out(F.dropout(self.wide(x).relu(), 0.4, self.training)).flatten(1)


def convolutional() -> Any:
    model = Convolutional()
    return {"model": model, "optimizer": caffe_sgd(KIT, model), "loss": F.cross_entropy}


@pytest.mark.parametrize(
    ("build", "recipe"),
    [(sequential, FIXED + SGD), (raw, STEP + SGD), (convolutional, FIXED + SGD)],
)
def test_other_styles(build: Any, recipe: str) -> None:
    torch.manual_seed(0)
    given = training_port(build())
    found = diagnose_training(given, reference_for(given, solver(KIT, recipe)), build=build)
    expect(found)
    assert len([note for note in found.notes if "losses and weights stay together" in note]) == 2


class CaffeAdam(torch.optim.Adam):
    """Adam by hand, as Caffe writes it."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                grad = p.grad + group["weight_decay"] * p
                m = state["m"] = 0.9 * state.get("m", 0) + 0.1 * grad
                v = state["v"] = 0.999 * state.get("v", 0) + 0.001 * grad**2
                p -= group["lr"] * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (v.sqrt() + 1e-8)


@pytest.mark.parametrize("name", KITS)
def test_optimizers_of_ones_own(name: str) -> None:
    kit = KITS[name]
    if name == "residual-still":
        return  # its port is in test_planted_causes
    adam = lambda kit, model, **_: CaffeAdam(groups(kit, model))  # noqa: E731
    expect(diagnosed(port(kit, optimizer=adam), solver(kit, FIXED + ADAM)))
    one = lambda kit, model, **_: optim.Adam(groups(kit, model), lr=0.01, momentum=0.9)  # noqa: E731
    expect(diagnosed(port(kit, optimizer=one), solver(kit, FIXED + ADAM)))


def test_an_optimizer_that_has_run_keeps_its_state() -> None:
    given = port(KIT)()
    for param in given["model"].parameters():
        param.grad = torch.ones_like(param)
    given["optimizer"].step()
    before = {p: v["history"].clone() for p, v in given["optimizer"].state.items()}
    rates = [group["lr"] for group in given["optimizer"].param_groups]
    read = training_port(given)
    expect(diagnose_training(read, reference_for(read, solver(KIT))))
    assert rates == [group["lr"] for group in given["optimizer"].param_groups]
    assert len(before) == len(given["optimizer"].state)
    for param, history in before.items():
        assert torch.equal(given["optimizer"].state[param]["history"], history)
        assert param.grad is not None and bool((param.grad == 1).all())


def penalised(decay_biases: bool) -> Any:
    """Members with a loss that has the weight decay in it."""

    def members(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        def step(batch: Any) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch[0]), batch[1])
            for param in model.parameters():
                if decay_biases or param.dim() > 1:
                    loss = loss + 0.0005 / 2 * param.square().sum()
            loss.backward()
            optimizer.step()
            return loss

        return {"step": step}

    return members


def test_weight_decay_in_the_loss() -> None:
    build = port(KIT, members=penalised(False), decay=0.0)
    expect(diagnosed(build, solver(KIT)))
    build = port(KIT, members=penalised(True), decay=0.0)
    expect(diagnosed(build, solver(KIT)), "bias-decay")


def test_code_that_computes_in_float32_only() -> None:
    def single(model: nn.Module) -> None:
        model.register_forward_pre_hook(lambda _, args: (args[0].float(),))

    found = diagnosed(port(KIT, edit=single), solver(KIT))
    expect(found)
    found = diagnosed(port(KIT, edit=single, loss=lambda x, y: 2 * KIT.loss(x, y)), solver(KIT))
    expect(found, "loss-weight")
