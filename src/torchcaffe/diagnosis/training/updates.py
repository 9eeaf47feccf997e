"""The port's update rule, seen from what it does: known gradients in, weights out.

The optimizer gets weights and gradients that are known, for a few steps, at a rate that changes on
the way as a schedule changes it. All computation is in float64, where the forms that rules take
lie far apart. Weights and gradients of an element have one sign, so that nothing cancels, and
spread over many powers of ten, so that decays and small numbers added to roots are seen somewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchcaffe.diagnosis.findings import Gap
from torchcaffe.diagnosis.training.parameters import Pair
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.protocol import TrainingPort
from torchcaffe.diagnosis.training.recipe import Blob, Recipe, Rule
from torchcaffe.diagnosis.training.rules import Updater

SAMPLE = 48
"""Elements of each blob that are looked at."""

FACTORS = (1.0, 1.0, 0.1, 0.1, 0.1, 1.0)
"""What the rate is multiplied by at each step."""

CLASS = 2.0**-18
"""Updates this near to each other, as a part of their size, are the same: Caffe holds its settings
as float32, and a few of those roundings (2**-24 each) multiply. See ``class_of``."""

GRAIN = 2.0**-50
"""Differences of float64 weights are known to this part of the weights."""


def class_of(rule: Rule) -> float:
    """How near updates of a rule must be: 1 - 0.999 in float32 is off by more than a rounding."""
    rest = {
        "Adam": 1 - rule.momentum2,
        "RMSProp": 1 - rule.rms_decay,
        "AdaDelta": 1 - rule.momentum,
    }
    return max(CLASS, 2.0**-23 / max(rest.get(rule.kind, 1.0), 1e-6))


@dataclass(frozen=True)
class Trial:
    """What went into the optimizer and what came out, elements of all blobs in one vector.

    ``slices``  each blob's elements; ``grads`` (K, n), ``weights`` (K + 1, n); ``fed`` the blobs
    whose parameters take gradients.
    """

    slices: Mapping[Blob, slice]
    grads: Tensor
    weights: Tensor
    fed: frozenset[Blob]

    def steps(self) -> Tensor:
        """(K, n): what each step took off the weights."""
        return self.weights[:-1] - self.weights[1:]


@dataclass(frozen=True)
class Residual:
    """How far a recipe is from the trial: for each blob the worst step's part; 0 where equal."""

    blobs: Mapping[Blob, float]
    at: tuple[Blob, int, float, float]
    """The worst place: blob, step, the port's update and the recipe's."""

    allowed: float

    @property
    def worst(self) -> float:
        """The largest of all blobs."""
        return max(self.blobs.values(), default=0.0)

    @property
    def score(self) -> float:
        """How many powers of two all blobs together are outside the class."""
        return sum(math.log2(max(value / self.allowed, 1)) for value in self.blobs.values())

    @property
    def gap(self) -> Gap:
        """The worst place as the report shows it."""
        _, _, port, caffe = self.at
        return Gap((), port, caffe, self.worst, self.worst / self.allowed)

    @property
    def exact(self) -> bool:
        """Whether nothing is left but roundings of the settings."""
        return self.worst <= self.allowed


def observe_updates(port: TrainingPort, pairs: Sequence[Pair], seed: int = 1701) -> Trial:
    """Run the trial on the port's own optimizer, which is left as it was."""
    assert port.optimizer is not None
    params = dict(port.model.named_parameters())
    generator = torch.Generator().manual_seed(seed)
    slices, places, at = {}, [], 0
    for pair in pairs:
        numel = params[pair.name].numel()
        count = min(SAMPLE, numel)
        chosen = torch.randperm(numel, generator=generator)[:count]
        slices[pair.blob] = slice(at, at + count)
        places.append((params[pair.name], chosen))
        at += count
    signs = torch.where(torch.rand(at, generator=generator) < 0.5, -1.0, 1.0).double()
    start = signs * 10 ** (-5 * torch.rand(at, generator=generator).double())
    grads = signs * 10 ** (-8 * torch.rand(at, generator=generator).double())
    grads = grads * (0.5 + torch.rand(len(FACTORS), at, generator=generator).double())
    parts = [
        (param, chosen, slices[p.blob]) for (param, chosen), p in zip(places, pairs, strict=True)
    ]
    with preserved(port, torch.float64):
        weights = _run(port, parts, start, grads)
    fed = {pair.blob for pair in pairs if params[pair.name].requires_grad}
    return Trial(slices, grads, weights, frozenset(fed))


def _run(
    port: TrainingPort,
    parts: Sequence[tuple[Tensor, Tensor, slice]],
    start: Tensor,
    grads: Tensor,
) -> Tensor:
    optimizer = port.optimizer
    assert optimizer is not None
    getattr(optimizer, "state", {}).clear()
    rates = [group.get("lr") for group in optimizer.param_groups]
    with torch.no_grad():
        for param, chosen, place in parts:
            param[_at(param, chosen)] = start[place].to(param)
    for param in port.model.parameters():
        if param.requires_grad:
            param.grad = torch.zeros_like(param)
    seen = [start]
    for factor, grad in zip(FACTORS, grads, strict=True):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            if rate is not None:
                group["lr"] = rate * factor
        for param, chosen, place in parts:
            if param.requires_grad:
                param.grad = torch.zeros_like(param)
                param.grad[_at(param, chosen)] = grad[place].to(param)
        optimizer.step()
        seen.append(_read(parts, len(start)))
    return torch.stack(seen)


def _at(param: Tensor, chosen: Tensor) -> tuple[Tensor, ...]:
    """Places of elements, counted in the order of the axes whatever the memory's."""
    return tuple(torch.unravel_index(chosen.to(param.device), param.shape))


def _read(parts: Sequence[tuple[Tensor, Tensor, slice]], count: int) -> Tensor:
    found = torch.empty(count, dtype=torch.float64)
    for param, chosen, place in parts:
        found[place] = param.detach()[_at(param, chosen)].double().cpu()
    return found


def predict(trial: Trial, recipe: Recipe) -> Tensor:
    """(K, n): what ``recipe`` would take off the trial's weights at each step."""
    rates, decays = torch.zeros_like(trial.grads[0]), torch.zeros_like(trial.grads[0])
    for blob, place in trial.slices.items():
        rates[place] = recipe.rates[blob]
        decays[place] = 0.0 if recipe.decayed_by_hand else recipe.decays[blob]
    given = torch.ones_like(rates)
    for blob in recipe.ungraded:
        given[trial.slices[blob]] = 0.0
    updater = Updater(recipe.rule, rates)
    return torch.stack(
        [
            updater.step(weight, grad * given, rates * factor, decays)
            for weight, grad, factor in zip(trial.weights[:-1], trial.grads, FACTORS, strict=True)
        ]
    )


def residual(trial: Trial, recipe: Recipe) -> Residual:
    """How far the port's updates are from those of ``recipe``."""
    return Residual(*_residual(trial, predict(trial, recipe)), class_of(recipe.rule))


def _residual(
    trial: Trial, expected: Tensor
) -> tuple[dict[Blob, float], tuple[Blob, int, float, float]]:
    steps = trial.steps()
    gap = (steps - expected).abs() - GRAIN * trial.weights[:-1].abs()
    size = torch.maximum(steps.abs(), expected.abs()).clamp(min=1e-300)
    part = torch.where(gap > 0, gap / size, 0.0).nan_to_num(nan=2.0, posinf=2.0)
    blobs = {blob: float(part[:, place].max()) for blob, place in trial.slices.items()}
    worst = max(blobs, key=lambda blob: blobs[blob], default="")
    if not worst:
        return blobs, ("", 0, 0.0, 0.0)
    place = trial.slices[worst]
    flat = int(part[:, place].argmax())
    step, element = divmod(flat, part[:, place].shape[1])
    element += place.start
    return blobs, (worst, step, float(steps[step, element]), float(expected[step, element]))


@dataclass(frozen=True)
class Fit:
    """The rate and the decay that a blob's first step shows under a rule; None for no decay."""

    rate: float
    decay: float | None


def fit_blob(trial: Trial, blob: Blob, recipe: Recipe) -> Fit:
    """Read a blob's rate and decay off the first step, whose histories are empty.

    For rules that divide by the gradient's own size the decay shows only if it is decoupled.
    """
    rule, place = recipe.rule, trial.slices[blob]
    grad, weight, step = trial.grads[0, place], trial.weights[0, place], trial.steps()[0, place]
    first, unit = grad, 1.0
    if rule.kind == "Nesterov":
        unit = 1 + rule.momentum
    elif rule.kind != "SGD":
        first = Updater(rule, grad).step(weight, grad, 1.0, 0.0)
    columns = torch.stack([first * unit, weight * (unit if rule.kind == "Nesterov" else 1.0)], 1)
    if rule.decay_form == "L1":
        columns[:, 1] = weight.sign() * unit
    if rule.kind in ("SGD", "Nesterov") or rule.decay_form == "decoupled":
        rate, product = torch.linalg.lstsq(columns, step[:, None]).solution[:, 0].tolist()
        decay = product / rate if rate else 0.0
        return Fit(_tidy(rate), _tidy(decay) if abs(decay) > 1e-8 else 0.0)
    strong = grad.abs() >= grad.abs().max() / 2
    return Fit(_tidy(float((step[strong] / first[strong]).median())), None)


def _tidy(value: float) -> float:
    """A fitted number without the digits that only noise has."""
    return float(f"{value:.7g}")
