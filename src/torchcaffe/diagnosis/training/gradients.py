"""The gradients that the port updates with, beside those of Caffe's losses on the same batches.

Dropout is off on both sides, all is computed in float64, and no weight moves. There is more than
one trial: two batch sizes tell a loss that is divided by something from one with another weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from torchcaffe.diagnosis.findings import Gap
from torchcaffe.diagnosis.training.dropouts import Dropouts
from torchcaffe.diagnosis.training.parameters import some
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.protocol import TrainingPort
from torchcaffe.diagnosis.training.recipe import Blob, Clip, Recipe
from torchcaffe.diagnosis.training.reference import RawLoss, Reference
from torchcaffe.diagnosis.training.run_port import Grads, Update

COARSE = 2.0**-9
"""The same of a port that computes in float32: its sums are rounded as well."""

CLASS = 2.0**-18
"""Gradients this near to each other, as a part of their blob's largest, are the same: Caffe keeps
the settings of layers as float32."""

Raw = Sequence[Mapping[str, RawLoss]]


@torch.no_grad()
def stir(model: nn.Module) -> None:
    """Move all parameters a little, so that none is 0 and hides what becomes of it."""
    generator = torch.Generator().manual_seed(1701)
    for param in model.parameters():
        noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        size = float(param.float().std()) if param.numel() > 1 else 0.0
        param.add_(noise.to(param), alpha=0.05 * (size or 1.0))


@dataclass
class GradientTrial:
    """Batches, and what the port made of them."""

    batches: Sequence[Mapping[str, Tensor]]
    updates: Sequence[Update]
    size: int
    raw: dict[tuple[tuple[str, int | None], ...], Raw] = field(default_factory=dict)


@dataclass
class GradientCase:
    """All trials, and the reference to predict them with."""

    trials: Sequence[GradientTrial]
    reference: Reference
    caffe: Recipe
    port: TrainingPort
    exactly: float = CLASS
    weights: Grads = field(default_factory=dict)
    """The weights of the trials by blob, for decays that are added to gradients."""

    def raw(self, trial: GradientTrial, recipe: Recipe) -> Raw:
        """Each batch's losses by themselves, computed once for each set of ignored labels."""
        key = tuple((name, term.ignore) for name, term in recipe.losses.items())
        if key not in trial.raw:
            net = self.reference.build(dict(key), trial.size)
            with preserved(self.port, torch.float64):
                stir(self.port.model)
                self.reference.carry(self.port.model, net)
            self.weights = {
                f"{entry.layer}/{entry.index}": some(
                    entry.value.detach(), self.reference.step_of(entry.value)
                )
                for entry in net.learnable
            }
            with Dropouts():
                trial.raw[key] = [self.reference.raw_losses(net, batch) for batch in trial.batches]
        return trial.raw[key]

    def predict(self, trial: GradientTrial, recipe: Recipe) -> list[Grads]:
        """The gradients of each update under a recipe."""
        each = [total_of(raws, recipe) for raws in self.raw(trial, recipe)]
        return updates_of(each, recipe, self.weights, len(trial.updates))

    def residual(self, recipe: Recipe) -> GradientResidual:
        """How far the port's gradients are from those of a recipe, over all trials."""
        found = GradientResidual(self.exactly)
        for number, trial in enumerate(self.trials):
            expected = self.predict(trial, recipe)
            for place, update in enumerate(trial.updates):
                wanted = expected[place] if place < len(expected) else {}
                for blob, grad in update.grads.items():
                    if blob in wanted:
                        found.add((number, place, blob), grad, wanted[blob])
                    elif not wanted:
                        found.parts[number, place, blob] = 1.0
        return found

    def factors(self, recipe: Recipe) -> dict[str, float]:
        """By what each loss would have to be multiplied, from the first trial's first update."""
        trial = self.trials[0]
        names = list(recipe.losses)
        columns = []
        for name in names:
            only = {
                other: term if other == name else replace(term, weight=0.0)
                for other, term in recipe.losses.items()
            }
            part = self.predict(trial, recipe.change(losses=only, clip=Clip("none", -1.0)))[0]
            columns.append(_flat(part, trial.updates[0].grads))
        matrix, wanted = torch.stack(columns, 1), _flat(trial.updates[0].grads, part)
        solution = torch.linalg.lstsq(matrix, wanted[:, None]).solution[:, 0].tolist()
        return dict(zip(names, solution, strict=True))


def _flat(values: Grads, like: Grads) -> Tensor:
    """Some elements of the blobs that both have, in one vector."""
    parts = []
    for blob in sorted(set(values) & set(like)):
        flat = values[blob].reshape(-1)
        chosen = flat[:: max(1, flat.numel() // 512)]
        parts.append(chosen)
    return torch.cat(parts) if parts else torch.zeros(1, dtype=torch.float64)


def total_of(raws: Mapping[str, RawLoss], recipe: Recipe) -> Grads:
    """The gradients of all losses together."""
    total: Grads = {}
    for name, raw in raws.items():
        factor = raw.divided(recipe.losses[name])
        for blob, grad in raw.grads.items():
            total[blob] = total[blob] + factor * grad if blob in total else factor * grad
    return total


def updates_of(
    each: Sequence[Grads], recipe: Recipe, weights: Mapping[Blob, Tensor], count: int
) -> list[Grads]:
    """What updates are made with, of each batch's gradients: summed, clipped, divided."""
    found: list[Grads] = []
    size = recipe.iter_size
    for place in range(min(count, len(each) // size)):
        start = place * size if recipe.zeroed else 0
        window = list(each[start : (place + 1) * size])
        found.append(update_of(window, recipe, weights))
    return found


def update_of(window: Sequence[Grads], recipe: Recipe, weights: Mapping[Blob, Tensor]) -> Grads:
    """What an update is made with, of its batches' gradients."""
    clip, divisor = recipe.clip, recipe.iter_size if recipe.averaged else 1
    if clip.form == "each":
        window = [clipped(grads, clip) for grads in window]
    total = {blob: sum((g[blob] for g in window[1:]), window[0][blob]) for blob in window[0]}
    if clip.form == "sum":
        total = clipped(total, clip)
    total = {blob: grad / divisor for blob, grad in total.items()}
    if recipe.decayed_by_hand:
        total = {
            blob: grad + recipe.decays[blob] * weights[blob] if blob in weights else grad
            for blob, grad in total.items()
        }
    return total if clip.form in ("sum", "each") else clipped(total, clip)


def clipped(grads: Grads, clip: Clip) -> Grads:
    """Gradients made shorter as a form of clipping does."""
    if clip.form == "none":
        return grads
    if clip.form == "value":
        return {blob: grad.clamp(-clip.threshold, clip.threshold) for blob, grad in grads.items()}
    if clip.form == "blob":
        return {b: grad * _shrink(float(grad.norm()), clip) for b, grad in grads.items()}
    norm = math.sqrt(sum(float(grad.square().sum()) for grad in grads.values()))
    return {blob: grad * _shrink(norm, clip) for blob, grad in grads.items()}


def _shrink(norm: float, clip: Clip) -> float:
    return clip.threshold / norm if norm > clip.threshold else 1.0


@dataclass
class GradientResidual:
    """The differences of all blobs in all updates of all trials."""

    exactly: float
    parts: dict[tuple[int, int, Blob], float] = field(default_factory=dict)
    worst: tuple[float, tuple[int, ...], float, float] = (0.0, (), 0.0, 0.0)

    def add(self, place: tuple[int, int, Blob], port: Tensor, caffe: Tensor) -> None:
        """Take in one blob's gradients."""
        caffe = caffe.reshape(port.shape)
        gap = (port - caffe).abs()
        size = max(float(port.abs().max()), float(caffe.abs().max()), 1e-300)
        part = float(gap.max()) / size
        part = 2.0 if math.isnan(part) else part
        self.parts[place] = part
        if part > self.worst[0]:
            at = int(gap.argmax())
            index = tuple(int(i) for i in torch.unravel_index(torch.tensor(at), port.shape))
            self.worst = (part, index, float(port.reshape(-1)[at]), float(caffe.reshape(-1)[at]))

    @property
    def score(self) -> float:
        """How many powers of two all blobs together are outside the class."""
        return sum(math.log2(max(part / self.exactly, 1)) for part in self.parts.values())

    @property
    def exact(self) -> bool:
        """Whether nothing is left but roundings of settings."""
        return max(self.parts.values(), default=0.0) <= self.exactly

    @property
    def gap(self) -> Gap:
        """The worst element."""
        part, index, port, caffe = self.worst
        return Gap(index, port, caffe, part, part / self.exactly)

    @property
    def first(self) -> Blob:
        """The blob nearest to the loss whose gradient differs, in the first update that does."""
        wrong = [place for place, part in self.parts.items() if part > self.exactly]
        if not wrong:
            return ""
        start = min(wrong, key=lambda place: place[:2])[:2]
        return [place[2] for place in wrong if place[:2] == start][-1]
