"""What only a pass in training shows: which dropouts drop, and what moves running statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.diagnosis.findings import Cause, Gap, Place
from torchcaffe.diagnosis.training.dropouts import Call, Dropouts
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.recipe import decimal
from torchcaffe.diagnosis.training.reference import Reference
from torchcaffe.diagnosis.training.run_port import Runner
from torchcaffe.net import CaffeNet

CLASS = 1e-6


@dataclass(frozen=True)
class Modes:
    """One training pass of each side: dropout calls, and statistics before and after."""

    port_calls: Sequence[Call]
    caffe_calls: Sequence[Call]
    moved: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    """For each BatchNorm layer the port's running mean before and after, and the batch's mean."""


def observe_modes(runner: Runner, reference: Reference, batch: Mapping[str, Tensor]) -> Modes:
    """Run both once as they train; the port is left as it was."""
    port = runner.port
    modules = dict(port.model.named_modules())
    with preserved(port, runner.dtype):
        net = reference.build({}, next(iter(batch.values())).shape[0])
        reference.carry(port.model, net)
        # Every running mean starts away from any batch's, so that none moves unseen.
        watched = {entry.layer: modules[entry.name] for entry in reference.statistics}
        seen: dict[str, Tensor] = {}
        hooks = [
            module.register_forward_pre_hook(_keep(layer, seen))
            for layer, module in watched.items()
        ]
        with torch.no_grad():
            for module in watched.values():
                getattr(module, "running_mean").fill_(1000.0)  # noqa: B009
        before = {layer: _mean(module).clone() for layer, module in watched.items()}
        after: dict[str, Tensor] = {}
        calls: list[Call] = []

        def look() -> None:
            after.update({layer: _mean(module).clone() for layer, module in watched.items()})
            calls.extend(mine.calls)
            for hook in hooks:
                hook.remove()

        with Dropouts() as mine:
            _train_once(runner, batch, look)
        with Dropouts() as theirs, torch.no_grad():
            net.run({n: v.double() for n, v in batch.items() if n in net.inputs})
    moved = {
        layer: (before[layer], after[layer], seen.get(layer, before[layer])) for layer in watched
    }
    return Modes(calls, theirs.calls, moved)


def _train_once(runner: Runner, batch: Mapping[str, Tensor], look: Callable[[], None]) -> None:
    if runner.runs:
        runner.updates([batch], 1, look)
        return
    runner.port.model.train()
    with torch.no_grad():
        runner.forward(batch)
    look()


def _mean(module: nn.Module) -> Tensor:
    value = getattr(module, "running_mean")  # noqa: B009
    assert isinstance(value, Tensor)
    return value


def _keep(layer: str, seen: dict[str, Tensor]) -> Any:
    def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        x = args[0].detach()
        seen[layer] = x.mean([axis for axis in range(x.dim()) if axis != 1])

    return hook


def dropout_causes(modes: Modes, runner: Runner) -> Iterator[Cause]:
    """What differs in dropout: whether it drops, how much; or only the numbers drawn."""
    mine = [call for call in modes.port_calls if call.active]
    theirs = [call for call in modes.caffe_calls if call.active]
    own = "your step leaves the model in eval mode" if modes.port_calls and not mine else ""
    if len(mine) != len(theirs):
        yield Cause(
            "dropout-active",
            (),
            Place("dropout"),
            f"In training, {len(mine)} of your dropouts drop anything"
            + (f": {own}." if own else "."),
            f"Caffe's train net has {len(theirs)} Dropout layers that do.",
            "model.train() before the training step" if own else "nn.Dropout where Caffe has it",
            evidence={"port": len(mine), "caffe": len(theirs)},
        )
        return
    for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        if abs(a.ratio - b.ratio) > CLASS or a.whole_channels:
            what = "whole channels" if a.whole_channels else "each number"
            yield Cause(
                "dropout-ratio",
                (),
                Place(f"dropout {number + 1} of {len(mine)}"),
                f"Your dropout drops {what} with probability {a.ratio:g}.",
                f"Caffe drops each number with dropout_ratio {b.ratio:g}.",
                f"nn.Dropout({b.ratio:g})",
                Gap((), a.ratio, b.ratio, 1.0, 2.0),
                Gap((), b.ratio, b.ratio, 0.0, 0.0),
                {"port": a.ratio, "caffe": b.ratio},
            )
            return
    if theirs:
        yield Cause(
            "random-stream",
            (),
            Place("dropout"),
            f"Your {len(mine)} dropouts draw their masks from torch's generator.",
            "Caffe's come from its own stream: the same law, other draws.",
            'nothing; torchcaffe.load(..., rng="caffe") draws Caffe\'s masks bit for bit',
            evidence={"dropouts": len(mine)},
            harmless=True,
        )


def statistics_causes(modes: Modes, reference: Reference, runner: Runner) -> Iterator[Cause]:
    """Running statistics that move where Caffe's stand still, or at another pace."""
    net = reference.net
    names = {entry.layer: entry.name for entry in reference.statistics}
    stray, still, paces = [], [], {}
    for layer, (before, after, batch) in modes.moved.items():
        moves = bool((before != after).any())
        stored, fraction = _settings(net, layer)
        if moves and stored:
            stray.append(layer)
        elif not moves and not stored:
            still.append(layer)
        elif moves:
            pace = float(((after - before) / (batch - before)).median())
            if abs(pace - (1 - fraction)) > 1e-4 * (1 - fraction):
                paces[layer] = (pace, 1 - fraction)
    # From here on, the reference does as the port: that is the proof, if gradients are compared.
    reference.stored |= {**dict.fromkeys(stray, False), **dict.fromkeys(still, True)}
    if stray:
        yield _stray(stray, names)
    if still:
        yield _still(still, names)
    if paces:
        yield _paces(paces, names, modes)


def _settings(net: CaffeNet, layer: str) -> tuple[bool, float]:
    step = next(step for step in net.steps if step.name == layer)
    p = step.param.batch_norm_param
    stored = p.use_global_stats if p.has("use_global_stats") else False
    return stored, decimal(p.moving_average_fraction)


def _stray(layers: list[str], names: Mapping[str, str]) -> Cause:
    modules = ", ".join(names[layer] for layer in layers[:4])
    return Cause(
        "batchnorm-updates-frozen",
        tuple(layers),
        Place(modules),
        f"In training, {len(layers)} of your BatchNorm modules normalise with the batch and move "
        f"their running statistics.",
        "Caffe's have use_global_stats: true in the train net: they are frozen.",
        f"{modules}.eval() after each model.train()",
        evidence={"modules": [names[layer] for layer in layers]},
    )


def _still(layers: list[str], names: Mapping[str, str]) -> Cause:
    modules = ", ".join(names[layer] for layer in layers[:4])
    return Cause(
        "batchnorm-train-mode",
        tuple(layers),
        Place(modules),
        f"In training, {len(layers)} of your BatchNorm modules use stored statistics.",
        "Caffe's use those of the batch while training, and move the stored ones.",
        "model.train() before the training step",
        evidence={"modules": [names[layer] for layer in layers]},
    )


def _paces(
    paces: Mapping[str, tuple[float, float]], names: Mapping[str, str], modes: Modes
) -> Cause:
    layer, (mine, wanted) = next(iter(paces.items()))
    before, after, batch = modes.moved[layer]
    expected = before + wanted * (batch - before)
    changed = before + mine * (batch - before)
    at = int((after - expected).abs().argmax())
    size = float(after.abs().max())
    return Cause(
        "batchnorm-momentum",
        tuple(paces),
        Place(", ".join(names[name] for name in list(paces)[:4])),
        f"Your running statistics take {mine:.6g} of each batch (torch's momentum).",
        f"Caffe keeps moving_average_fraction {1 - wanted:g} of the old ones and so takes "
        f"{wanted:.6g} of the batch, once its count has filled.",
        f"momentum={wanted:g} in your BatchNorm modules",
        _gap(at, after, expected, size),
        _gap(at, after, changed, size),
        {"port": mine, "caffe": wanted},
    )


def _gap(at: int, port: Tensor, caffe: Tensor, size: float) -> Gap:
    part = float((port - caffe).abs().max()) / size
    return Gap((at,), float(port[at]), float(caffe[at]), part, part / CLASS)
