"""The forms in which a port may give its training, and what is said of others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from diagnosis.training.ports import (
    FIXED,
    KITS,
    SGD,
    STEP,
    caffe_sgd,
    cause,
    diagnosed,
    expect,
    groups,
    port,
    solver,
)
from torchcaffe import optim
from torchcaffe.diagnosis.training import (
    Batch,
    TrainingPort,
    diagnose_training,
    lightning,
    reference_for,
    training_port,
)
from torchcaffe.errors import InputError

KIT = KITS["lenet"]


def whole() -> dict[str, Any]:
    return port(KIT)()


def test_forms() -> None:
    given = whole()
    model, optimizer = given["model"], given["optimizer"]
    scheduler = optim.CaffeLR(optimizer, "fixed")
    assert training_port(model).optimizer is None
    assert training_port(given).loss is F.cross_entropy
    named = SimpleNamespace(**given, scheduler=scheduler, anything="else")
    assert training_port(named).scheduler is scheduler
    in_order = training_port((model, optimizer, scheduler, nn.CrossEntropyLoss()))
    assert in_order.scheduler is scheduler and isinstance(in_order.loss, nn.CrossEntropyLoss)
    assert training_port(TrainingPort(model)).model is model


class Trainer:
    """An object with methods, as training scripts have."""

    def __init__(self) -> None:
        self.model = KIT.module()
        self.optimizer = caffe_sgd(KIT, self.model)

    def step(self, batch: Batch) -> float:
        images, labels = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def test_an_object_with_methods() -> None:
    expect(diagnosed(Trainer, solver(KIT)))


def test_a_module_alone_is_compared_in_what_it_has() -> None:
    given = training_port(KIT.module())
    found = diagnose_training(given, reference_for(given, solver(KIT)))
    assert any("Neither a loss nor a step" in note for note in found.notes)
    assert any("No optimizer was given" in note for note in found.notes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": 3}, "model must be an nn.Module, got int"),
        ({"optimiser": None}, 'gives "optimiser", which is no part of a training. Did you mean'),
        ({"loss": F.mse_loss}, 'gives loss, but no "model"'),
        (3, "got int"),
        ((nn.Linear(1, 1), F.mse_loss, F.l1_loss), "two of what looks like its loss"),
        (
            {"model": nn.Linear(1, 1), "scheduler_interval": "batch"},
            'takes "iteration" or "epoch", got "batch"',
        ),
    ],
)
def test_refusals(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        training_port(given)


def test_a_net_that_has_nothing_of_the_port() -> None:
    given = TrainingPort(nn.Linear(2, 3))
    with pytest.raises(InputError, match="none of the port's parameters"):
        reference_for(given, solver(KIT))


def test_a_batch() -> None:
    batch = Batch.of({"data": torch.zeros(2), "label": torch.ones(1)})
    data, label = batch
    assert batch["label"] is label and batch[0] is data


def test_a_batch_of_the_persons_own() -> None:
    def members(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        def step(batch: dict[str, Any]) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(batch["x"]), batch["y"]).backward()
            optimizer.step()

        return {"step": step, "to_batch": lambda b: {"x": b["data"], "y": b["label"]}}

    expect(diagnosed(port(KIT, members=members), solver(KIT)))


def test_a_step_that_moves_the_scheduler() -> None:
    def members(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1000)

        def step(batch: Batch) -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            scheduler.step()
            return loss

        return {"step": step, "scheduler": scheduler, "iterations_per_epoch": 50}

    expect(diagnosed(port(KIT, members=members), solver(KIT, STEP + SGD)))


def test_what_cannot_be_run_is_said() -> None:
    def members(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        def step(batch: Batch) -> None:
            raise RuntimeError("no such thing")

        return {"step": step}

    found = diagnosed(port(KIT, members=members), solver(KIT))
    assert any("RuntimeError" in note and "no such thing" in note for note in found.notes)

    def idle(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        return {"step": lambda batch: None}

    found = diagnosed(port(KIT, members=idle), solver(KIT))
    assert any("never called its optimizer's step" in note for note in found.notes)


def test_an_epoch_of_unknown_length() -> None:
    def members(_: nn.Module, optimizer: Any) -> dict[str, Any]:
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        return {"scheduler": scheduler, "scheduler_interval": "epoch"}

    found = diagnosed(port(KIT, members=members), solver(KIT, STEP + SGD))
    assert any("iterations_per_epoch is not given" in note for note in found.notes)


def test_what_makes_no_difference_here() -> None:
    """A rate outside of the momentum is the same while the rate stays."""

    def torchs(kit: Any, model: nn.Module) -> Any:
        return torch.optim.SGD(groups(kit, model), lr=0.01, momentum=0.9)

    found = diagnosed(port(KIT, optimizer=torchs), solver(KIT, FIXED + SGD))
    expect(found)
    assert any(note.startswith("momentum-form: the same here") for note in found.notes)


def test_batches_as_large_in_sum() -> None:
    """Caffe's two batches of 5 are the port's one of 10, if the loss is an average."""
    net = KIT.net.replace("dim: 10", "dim: 5")
    build = port(KIT, members=lambda *_: {"batch_size": 10})
    found = diagnosed(build, solver(KIT, FIXED + SGD + "iter_size: 2", net))
    expect(found)
    assert any(note.startswith("batch-size and iter-size: the same here") for note in found.notes)


class Plain(nn.Module):
    """What a Lightning module has, without Lightning."""

    interval: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.net = KIT.module()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        images, labels = batch
        return F.cross_entropy(self(images), labels)

    def configure_optimizers(self) -> Any:
        optimizer = caffe_sgd(KIT, self.net)
        if self.interval is None:
            return optimizer
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1000)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": self.interval},
        }


class ByStep(Plain):
    interval = "step"


class ByEpoch(Plain):
    interval = "epoch"


def test_lightning_modules() -> None:
    expect(diagnosed(lambda: training_port(Plain()), solver(KIT)))
    expect(diagnosed(lambda: lightning(ByStep()), solver(KIT, STEP + SGD)))
    found = diagnosed(
        lambda: lightning(ByEpoch(), iterations_per_epoch=50), solver(KIT, STEP + SGD)
    )
    expect(found, "schedule-unit")
    clipping = lambda: lightning(Plain(), gradient_clip_val=0.5)  # noqa: E731
    expect(diagnosed(clipping, solver(KIT)), "clip-order")
    expect(diagnosed(clipping, solver(KIT, FIXED + SGD + "clip_gradients: 0.5")))
    two = lambda: lightning(Plain(), accumulate_grad_batches=2)  # noqa: E731
    expect(diagnosed(two, solver(KIT)), "iter-size")
    expect(diagnosed(two, solver(KIT, FIXED + SGD + "iter_size: 2")))


def test_lightning_refusals() -> None:
    module = Plain()
    module.automatic_optimization = False  # type: ignore[assignment]
    with pytest.raises(InputError, match="optimizes by hand"):
        lightning(module)
    module = Plain()
    module.configure_optimizers = lambda: [1, 2]  # type: ignore[method-assign]
    with pytest.raises(InputError, match="configures 2 optimizers"):
        lightning(module)


def test_a_real_lightning_module() -> None:
    pl = pytest.importorskip("lightning")

    class Real(pl.LightningModule):  # type: ignore[misc, name-defined]
        interval = "step"
        forward, configure_optimizers = Plain.forward, Plain.configure_optimizers

        def __init__(self) -> None:
            super().__init__()
            self.net = KIT.module()

        def training_step(self, batch: Any) -> torch.Tensor:
            loss = F.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

    expect(diagnosed(lambda: lightning(Real()), solver(KIT, STEP + SGD)))


def test_samples() -> None:
    def two(low: float, reference_low: float) -> Any:
        def draws(low: float, seed: int) -> list[Any]:
            generator = torch.Generator().manual_seed(seed)
            return [(torch.rand(2, generator=generator) + low, int(n % 5)) for n in range(2000)]

        return lambda *_: {"dataset": draws(low, 1), "reference_dataset": draws(reference_low, 2)}

    found = diagnosed(port(KIT, members=two(0.0, 0.0)), solver(KIT))
    expect(found)
    assert any("No test tells their laws apart" in c.caffe for c in found.causes if c.harmless)
    found = diagnosed(port(KIT, members=two(0.05, 0.0)), solver(KIT))
    expect(found, "sampling-law")
    assert "has mean" in cause(found, "sampling-law").code
