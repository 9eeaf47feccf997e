"""Each cause planted in two ports of different nets or more: it is named, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnosis.training.ports import (
    ADAM,
    FIXED,
    KITS,
    LENET,
    NESTEROV,
    RESIDUAL,
    RMSPROP,
    SGD,
    STEP,
    STILL,
    Kit,
    cause,
    diagnosed,
    expect,
    of,
    port,
    solver,
    uniform,
)
from torchcaffe import optim

ALL = ("lenet", "tracker", "residual")
TORCH_SGD = of(torch.optim.SGD, momentum=0.9)


def scheduled(kind: Any, interval: str, epoch: int | None = None, **settings: Any) -> Any:
    def members(_: nn.Module, optimizer: Any) -> dict[str, Any]:
        return {
            "scheduler": kind(optimizer, **settings),
            "scheduler_interval": interval,
            "iterations_per_epoch": epoch,
        }

    return members


StepLR = torch.optim.lr_scheduler.StepLR
CAFFE_STEP = scheduled(optim.CaffeLR, "iteration", lr_policy="step", gamma=0.1, stepsize=1000)


def stepping(
    kit: Kit,
    *,
    zero: bool = True,
    batches: int = 1,
    divide: bool = True,
    clip: Callable[[list[Tensor]], Any] | None = None,
    loss: Callable[..., Tensor] | None = None,
) -> Any:
    """Members with a step of the port's own."""

    def members(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        done = 0

        def step(batch: Any) -> Tensor:
            nonlocal done
            *data, wanted = batch
            if zero and done % batches == 0:
                optimizer.zero_grad()
            found = (loss or kit.loss)(model(*data), wanted)
            (found / (batches if divide else 1)).backward()
            done += 1
            if done % batches == 0:
                if clip:
                    clip([p for p in model.parameters() if p.grad is not None])
                optimizer.step()
            return found.detach()

        return {"step": step}

    return members


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("identifier", "change"),
    [
        ("base-lr", {"lr": 0.1}),
        ("lr-multiplier", {"bias_rate": 0.5}),
        ("bias-decay", {"bias_decay": 1.0}),
        ("decay-multiplier", {"decay": 0.0001}),
        ("momentum", {"momentum": 0.95}),
    ],
)
def test_rates_and_decays(name: str, identifier: str, change: dict[str, Any]) -> None:
    kit = KITS[name]
    expect(diagnosed(port(kit, **change), solver(kit)), identifier)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("identifiers", "recipe", "optimizer"),
    [
        ("momentum-form", STEP + SGD, TORCH_SGD),
        ("nesterov-form", STEP + NESTEROV, of(torch.optim.SGD, momentum=0.9, nesterov=True)),
        ("nesterov-form", STEP + NESTEROV, of(optim.SGD, momentum=0.9)),
        ("nesterov-form", STEP + SGD, of(optim.Nesterov, momentum=0.9)),
        ("adam-epsilon", FIXED + ADAM, of(torch.optim.Adam)),
        ("adam-epsilon", FIXED + ADAM, of(optim.Adam, momentum=0.9, delta=1e-4)),
        ("adam-epsilon decay-form", FIXED + ADAM, of(torch.optim.AdamW)),
        ("rmsprop-epsilon", FIXED + RMSPROP, of(torch.optim.RMSprop, alpha=0.98, eps=1e-5)),
        ("decay-form", FIXED + SGD + 'regularization_type: "L1"', of(optim.SGD, momentum=0.9)),
        ("update-rule", FIXED + SGD, of(torch.optim.Adam)),
    ],
)
def test_update_rules(name: str, identifiers: str, recipe: str, optimizer: Any) -> None:
    kit = KITS[name]
    members = CAFFE_STEP if recipe.startswith(STEP) else lambda *_: {}
    build = port(kit, optimizer=optimizer, members=members)
    expect(diagnosed(build, solver(kit, recipe)), *identifiers.split())


def test_a_frozen_layer_that_trains() -> None:
    kit = KITS["tracker"]
    found = diagnosed(port(kit, thaw=1.0), solver(kit))
    expect(found, "frozen-layer-trains")
    assert found.causes[-1].layers == ("conv", "conv_p")
    kit = Kit(LENET.replace("lr_mult: 1 decay", "lr_mult: 0 decay", 1), *_rest("lenet"))
    expect(diagnosed(port(kit), solver(kit)), "frozen-layer-trains")


def _rest(name: str) -> tuple[Any, ...]:
    return KITS[name].module, KITS[name].loss, KITS[name].multipliers


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("optimizer", [of(optim.SGD, momentum=0.9), TORCH_SGD])
def test_a_layer_that_should_train(name: str, optimizer: Any) -> None:
    def freeze(model: nn.Module) -> None:
        list(model.parameters())[-2].requires_grad_(False)

    kit = KITS[name]
    expect(
        diagnosed(port(kit, edit=freeze, optimizer=optimizer), solver(kit)), "trained-layer-frozen"
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("identifiers", "members"),
    [
        ("schedule-gamma", scheduled(StepLR, "iteration", step_size=1000, gamma=0.5)),
        ("schedule-missing", lambda *_: {}),
        ("schedule-unit", scheduled(StepLR, "epoch", 120, step_size=1)),
        ("schedule-unit", scheduled(StepLR, "epoch", 120, step_size=1000)),
        ("schedule-unit schedule-gamma", scheduled(StepLR, "epoch", 70, step_size=3, gamma=0.5)),
        ("", scheduled(StepLR, "epoch", 100, step_size=10)),
    ],
)
def test_schedules(name: str, identifiers: str, members: Any) -> None:
    kit = KITS[name]
    found = diagnosed(port(kit, members=members), solver(kit, STEP + SGD))
    expect(found, *identifiers.split())


@pytest.mark.parametrize(
    ("policy", "scheduler", "identifiers"),
    [
        ("exp", "lambda n: 0.999**n", "schedule-gamma"),
        ("inv", "lambda n: (1 + 0.0001 * n) ** -0.75", ""),
        ("inv", "lambda n: (1 + 0.001 * n) ** -0.75", "schedule-gamma"),
        ("poly", "lambda n: 1 - n / 500", ""),
        ("poly", "lambda n: 1 - (n // 50 * 50) / 500", "schedule-unit"),
        ("multistep", "lambda n: 0.1 ** ((n >= 200) + (n >= 300))", ""),
        ("multistep", "lambda n: 0.1 ** ((n >= 100) + (n >= 300))", "schedule-unit"),
        ("sigmoid", "lambda n: 1.0", "schedule-missing"),
    ],
)
def test_policies(policy: str, scheduler: str, identifiers: str) -> None:
    fields = {
        "exp": "gamma: 0.9999",
        "inv": "gamma: 0.0001 power: 0.75",
        "poly": "power: 1",
        "multistep": "gamma: 0.1 stepvalue: 200 stepvalue: 300",
        "sigmoid": "gamma: 0.01 stepsize: 200",
    }
    kit, factor = KITS["lenet"], eval(scheduler)
    by_epoch = "// 50" in scheduler
    members = scheduled(
        torch.optim.lr_scheduler.LambdaLR,
        "epoch" if by_epoch else "iteration",
        50 if by_epoch else None,
        lr_lambda=(lambda n: factor(50 * n)) if by_epoch else factor,
    )
    recipe = f'base_lr: 0.01 {SGD} lr_policy: "{policy}" {fields[policy]} max_iter: 500'
    base = 0.01 / (1 + 2.718281828459045**2) if policy == "sigmoid" else 0.01
    found = diagnosed(port(kit, members=members, lr=base), solver(kit, recipe))
    expect(found, *identifiers.split())


REDUCED = {
    "lenet": lambda x, y: F.cross_entropy(x, y, reduction="sum"),
    "tracker": F.l1_loss,
    "residual": F.mse_loss,
}


@pytest.mark.parametrize("name", ALL)
def test_losses_divided_otherwise(name: str) -> None:
    kit = KITS[name]
    found = diagnosed(port(kit, loss=REDUCED[name]), solver(kit))
    expect(found, "loss-normalisation")
    assert cause(found, "loss-normalisation").layers == ("loss",)


@pytest.mark.parametrize("name", ALL)
def test_a_loss_of_another_weight(name: str) -> None:
    kit = KITS[name]
    found = diagnosed(port(kit, loss=lambda x, y: 0.37 * kit.loss(x, y)), solver(kit))
    expect(found, "loss-weight")
    assert cause(found, "loss-weight").evidence["port"] == {"loss": 0.37}


def test_one_of_two_losses() -> None:
    more = (
        'layer { name: "aux" type: "EuclideanLoss" bottom: "ip2" bottom: "ip1s" top: "aux" '
        "loss_weight: 0.3 }"
    )
    net = LENET + (
        'layer { name: "ip1s" type: "InnerProduct" bottom: "ip1" top: "ip1s" '
        f'inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}{more}'
    )

    class Two(KITS["lenet"].module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Linear(16, 5)
            uniform(self.second.weight, 16)
            nn.init.zeros_(self.second.bias)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = F.max_pool2d(F.relu(self.features(x)), 2).flatten(1)
            x = F.dropout(F.relu(self.hidden(x)), self.ratio, self.training)
            return self.classes(x), self.second(x)

    def loss(weight: float) -> Callable[..., Tensor]:
        def both(out: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
            gap = (out[0] - out[1]).square().sum() / (2 * len(label))
            return F.cross_entropy(out[0], label) + weight * gap

        return both

    def second(name: str) -> tuple[float, float]:
        return (1.0, 1.0) if name.startswith("second") else KITS["lenet"].multipliers(name)

    kit = Kit(net, Two, loss(0.3), second)
    expect(diagnosed(port(kit), solver(kit)))
    found = diagnosed(port(kit, loss=loss(1.0)), solver(kit))
    expect(found, "loss-weight")
    assert cause(found, "loss-weight").layers == ("aux",)


IGNORING = 'bottom: "label" top: "loss" loss_param { ignore_label: %d }'


@pytest.mark.parametrize(
    ("ignore", "loss", "identifiers"),
    [
        (255, lambda x, y: F.cross_entropy(x, y, ignore_index=255), ""),
        (255, F.cross_entropy, "ignore-label"),
        (0, F.cross_entropy, "ignore-label"),
        (0, lambda x, y: F.cross_entropy(x, y, ignore_index=1), "ignore-label"),
        (None, lambda x, y: F.cross_entropy(x, y, ignore_index=0), "ignore-label"),
        (
            255,
            lambda x, y: F.cross_entropy(x, y, ignore_index=255, reduction="sum") / len(y),
            "loss-normalisation",
        ),
    ],
)
def test_ignored_labels(ignore: int | None, loss: Any, identifiers: str) -> None:
    net = LENET
    if ignore is not None:
        net = LENET.replace('bottom: "label" top: "loss"', IGNORING % ignore)
    kit = KITS["lenet"]
    found = diagnosed(port(kit, loss=loss), solver(kit, net=net))
    expect(found, *identifiers.split())


def norm(at: float) -> Callable[[list[Tensor]], Any]:
    return lambda params: nn.utils.clip_grad_norm_(params, at)


def each(at: float) -> Callable[[list[Tensor]], Any]:
    return lambda params: [nn.utils.clip_grad_norm_([param], at) for param in params]


def value(at: float) -> Callable[[list[Tensor]], Any]:
    return lambda params: nn.utils.clip_grad_value_(params, at)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("recipe", "step", "identifiers"),
    [
        ("", {}, ""),
        ("", {"zero": False}, "gradient-accumulated"),
        ("iter_size: 2", {"batches": 2}, ""),
        ("", {"batches": 2}, "iter-size"),
        ("iter_size: 2", {}, "iter-size"),
        ("iter_size: 2", {"batches": 2, "divide": False}, "iter-size"),
        ("", {"batches": 2, "zero": False}, "iter-size gradient-accumulated"),
        ("clip_gradients: 0.5", {"clip": norm(0.5)}, ""),
        ("clip_gradients: 0.5", {}, "clip-order"),
        ("", {"clip": norm(0.5)}, "clip-order"),
        ("clip_gradients: 0.5", {"clip": each(0.5)}, "clip-order"),
        ("clip_gradients: 0.5", {"clip": value(0.5)}, "clip-order"),
        ("clip_gradients: 0.5 iter_size: 2", {"batches": 2, "clip": norm(0.5)}, "clip-order"),
    ],
)
def test_steps(name: str, recipe: str, step: dict[str, Any], identifiers: str) -> None:
    kit = KITS[name]
    build = port(kit, members=stepping(kit, **step))
    expect(diagnosed(build, solver(kit, FIXED + SGD + recipe)), *identifiers.split())


@pytest.mark.parametrize("name", ALL)
def test_batch_sizes(name: str) -> None:
    kit = KITS[name]
    found = diagnosed(port(kit, members=lambda *_: {"batch_size": 4}), solver(kit))
    expect(found, "batch-size")
    factor = next(iter(found.causes[-1].evidence["factors"].values()))
    assert factor == pytest.approx(4 / 6 if name == "tracker" else 1)


def test_dropout() -> None:
    kit = KITS["lenet"]
    found = diagnosed(port(kit, edit=lambda m: setattr(m, "ratio", 0.5)), solver(kit))
    expect(found, "dropout-ratio")
    kit = KITS["tracker"]
    edit = lambda m: m.head.__setitem__(2, nn.Dropout(0.3))  # noqa: E731
    expect(diagnosed(port(kit, edit=edit), solver(kit)), "dropout-ratio")
    edit = lambda m: m.head.__setitem__(2, nn.Identity())  # noqa: E731
    expect(diagnosed(port(kit, edit=edit), solver(kit)), "dropout-active")
    kit = KITS["lenet"]
    build = port(kit, edit=lambda m: m.eval(), members=stepping(kit))
    expect(diagnosed(build, solver(kit)), "dropout-active")


def stops(model: nn.Module) -> Any:
    """Evaluation mode for BatchNorm, whatever the model's."""
    for module in (model.bn1, model.bn2):
        module.train = lambda mode=True, module=module: module  # type: ignore[method-assign]
        module.training = False


def test_running_statistics() -> None:
    moving, still = KITS["residual"], KITS["residual-still"]
    expect(diagnosed(port(moving), solver(moving)))
    expect(diagnosed(port(still, edit=stops), solver(still)))
    expect(diagnosed(port(still), solver(still)), "batchnorm-updates-frozen")
    half = Kit(RESIDUAL.replace("BN1", STILL).replace("BN2", ""), *_rest("residual"))
    found = diagnosed(port(half), solver(half))
    expect(found, "batchnorm-updates-frozen")
    assert found.causes[-1].layers == ("bn1",)
    expect(diagnosed(port(moving, edit=stops), solver(moving)), "batchnorm-train-mode")


def test_the_pace_of_running_statistics() -> None:
    def faster(model: nn.Module) -> None:
        model.bn1.momentum = 0.1

    kit = KITS["residual"]
    found = diagnosed(port(kit, edit=faster), solver(kit))
    expect(found, "batchnorm-momentum")
    assert found.causes[-1].evidence == {"port": pytest.approx(0.1), "caffe": pytest.approx(0.001)}
    net = kit.net.replace(
        'top: "conv2"  }', 'top: "conv2" batch_norm_param { moving_average_fraction: 0.9 } }'
    )
    found = diagnosed(port(kit), solver(kit, net=net))
    expect(found, "batchnorm-momentum")
    assert found.causes[-1].layers == ("bn2",)


def fan_out(model: nn.Module) -> None:
    uniform(model.hidden.weight, model.hidden.weight[:, 0].numel())


def torchs_own(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()


@pytest.mark.parametrize(
    ("name", "edit", "identifier"),
    [
        ("lenet", fan_out, "filler-fan"),
        (
            "residual",
            lambda m: nn.init.kaiming_normal_(m.conv1.weight, mode="fan_out"),
            "filler-fan",
        ),
        ("lenet", torchs_own, "filler-kind"),
        ("tracker", torchs_own, "filler-kind"),
        ("residual", lambda m: nn.init.xavier_uniform_(m.conv2.weight), "filler-kind"),
        ("tracker", lambda m: nn.init.zeros_(m.head[0].bias), "filler-kind"),
        ("lenet", lambda m: nn.init.normal_(m.hidden.weight, 0, 0.0707), "filler-kind"),
    ],
)
def test_fillers(name: str, edit: Any, identifier: str) -> None:
    kit = KITS[name]
    expect(diagnosed(port(kit, edit=edit), solver(kit)), identifier)


def test_steps_that_keep_or_change_the_rate_themselves() -> None:
    kit = KITS["lenet"]
    recipe = STEP.replace("stepsize: 1000", "stepsize: 50") + SGD
    found = diagnosed(port(kit, members=stepping(kit)), solver(kit, recipe))
    expect(found, "schedule-missing")

    def members(model: nn.Module, optimizer: Any) -> dict[str, Any]:
        step, done = stepping(kit)(model, optimizer)["step"], 0

        def changing(batch: Any) -> Tensor:
            nonlocal done
            for group in optimizer.param_groups:
                group.setdefault("first", group["lr"])
                group["lr"] = group["first"] * 0.1 ** (done // 50)
            done += 1
            return step(batch)

        return {"step": changing}

    found = diagnosed(port(kit, members=members), solver(kit, recipe))
    assert any("changes the rate by itself" in note for note in found.notes)
    assert "schedule-missing" not in found.identifiers
