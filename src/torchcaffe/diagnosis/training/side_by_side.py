"""N iterations of both, on the same batches from the same weights, dropout off or with one's masks.

The reference runs by a recipe, so that with all proven causes made in it, it must stay with the
port; that is the proof of all causes together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchcaffe.diagnosis.findings import Gap
from torchcaffe.diagnosis.training.dropouts import Drawn, Dropouts
from torchcaffe.diagnosis.training.gradients import total_of, update_of
from torchcaffe.diagnosis.training.parameters import some
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.recipe import Blob, Recipe
from torchcaffe.diagnosis.training.reference import Reference
from torchcaffe.diagnosis.training.rules import Updater
from torchcaffe.diagnosis.training.run_port import Grads, Runner
from torchcaffe.diagnosis.training.schedules import Some

CLASS = 2.0**-14
"""Weights this near to each other, as a part of the way that they have gone, are the same: settings
are off by a few 2**-24, and a few iterations multiply that."""

Batches = Sequence[Mapping[str, Tensor]]


@dataclass(frozen=True)
class Together:
    """How far apart both are after each iteration, as a part of the way gone; and their losses."""

    gaps: tuple[float, ...]
    losses: tuple[tuple[float | None, float], ...]

    @property
    def worst(self) -> float:
        """The largest gap."""
        return max(self.gaps, default=0.0)

    @property
    def parts_at(self) -> int | None:
        """The first iteration after which they are apart."""
        return next((i for i, gap in enumerate(self.gaps) if not gap <= CLASS), None)

    @property
    def gap(self) -> Gap:
        """The losses of the first batch after which they are apart."""
        place = self.parts_at or 0
        mine, theirs = self.losses[place]
        return Gap((place,), mine or 0.0, theirs, self.worst, self.worst / CLASS)


def story(explained: Together, plain: Together) -> str:
    """What became of both, and of the port beside Caffe with all causes made in it."""
    place = plain.parts_at
    if place is None:
        return "losses and weights stay together."
    text = f"the weights part in batch {place + 1} (by {plain.gaps[place]:.2g} of the way)"
    if explained is not plain:
        stay = "stay together" if explained.parts_at is None else "part all the same"
        text += f"; with the causes made in Caffe too, they {stay} ({explained.worst:.2g})"
    return f"{text}."


class Follower:
    """The reference trained by a recipe."""

    def __init__(
        self, reference: Reference, recipe: Recipe, model: torch.nn.Module, size: int
    ) -> None:
        self.recipe, self.reference = recipe, reference
        ignores = {name: term.ignore for name, term in recipe.losses.items()}
        thawed = {
            entry.layer
            for entry in reference.net.learnable
            if recipe.rates[f"{entry.layer}/{entry.index}"] and not entry.lr_mult
        }
        self.net = reference.build(ignores, size, thawed)
        reference.carry(model, self.net)
        paired = {pair.blob for pair in reference.pairs}
        self.values = {
            blob: entry.value
            for entry in self.net.learnable
            if (blob := f"{entry.layer}/{entry.index}") in paired
        }
        self.updaters = {blob: Updater(recipe.rule, value) for blob, value in self.values.items()}
        self.each: list[Grads] = []
        self.carried: list[Grads] = []
        self.iteration = 0

    def step(self, batch: Mapping[str, Tensor], rates: Some) -> float:
        """One batch, and the update if it is the last of an iteration; the loss."""
        recipe = self.recipe
        raws = self.reference.raw_losses(self.net, batch, whole=True)
        self.each.append(total_of(raws, recipe))
        if len(self.each) == recipe.iter_size:
            grads = update_of([*self.carried, *self.each], recipe, self.values)
            self._update(grads, rates[self.iteration])
            self.carried = [] if recipe.zeroed else [_sum([*self.carried, *self.each])]
            self.each = []
            self.iteration += 1
        return sum(raw.value * raw.divided(recipe.losses[name]) for name, raw in raws.items())

    @torch.no_grad()
    def _update(self, grads: Grads, factor: float) -> None:
        for blob, value in self.values.items():
            rate, decay = self.recipe.rates[blob] * factor, self.recipe.decays[blob]
            if not rate:
                continue
            grad = grads.get(blob)
            if grad is None or blob in self.recipe.ungraded:
                grad = torch.zeros_like(value)
            decay = 0.0 if self.recipe.decayed_by_hand else decay
            value.sub_(self.updaters[blob].step(value, grad, rate, decay))


def _sum(each: Sequence[Grads]) -> Grads:
    return {blob: sum((g[blob] for g in each[1:]), each[0][blob]) for blob in each[0]}


def side_by_side(
    runner: Runner,
    reference: Reference,
    recipe: Recipe,
    batches: Batches,
    rates: Some,
    masks: int | None = None,
) -> Together:
    """Train both on ``batches``; ``masks`` seeds Caffe's dropout stream, without it none drops."""
    port = runner.port
    with preserved(port, runner.dtype):
        if port.optimizer is not None:
            port.optimizer.state.clear()
        size = next(iter(batches[0].values())).shape[0]
        follower = Follower(reference, recipe, port.model, size)
        start = {
            blob: some(value.detach(), reference.step_of(value))
            for blob, value in follower.values.items()
        }
        drawn = Drawn(masks) if masks is not None else None
        gaps, losses = [], []
        for number, batch in enumerate(batches):
            if drawn is not None:
                drawn.masks.clear()
            with Dropouts(drawn.draw) if drawn else Dropouts():
                caffe = follower.step(batch, rates)
            with Dropouts(drawn.again()) if drawn else Dropouts():
                mine = _port_step(runner, batch, number)
            gaps.append(_gap(runner, follower.values, start))
            losses.append((mine, caffe))
    return Together(tuple(gaps), tuple(losses))


def _port_step(runner: Runner, batch: Mapping[str, Tensor], number: int) -> float | None:
    port = runner.port
    if runner.steps:
        return runner.one_step(batch)
    assert port.optimizer is not None
    port.model.train()
    port.optimizer.zero_grad()
    loss = runner.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if port.clip is not None:
        port.clip([param for param in port.model.parameters() if param.grad is not None])
    port.optimizer.step()
    if port.scheduler is not None and port.scheduler_interval == "iteration":
        port.scheduler.step()
    return float(loss.detach())


def _gap(runner: Runner, values: Mapping[Blob, Tensor], start: Mapping[Blob, Tensor]) -> float:
    params, worst = dict(runner.port.model.named_parameters()), 0.0
    for pair in runner.reference.pairs:
        if pair.blob in values:
            value = values[pair.blob]
            step = runner.reference.step_of(value)
            theirs = some(value.detach(), step)
            mine = some(pair.to_caffe(params[pair.name].detach()).reshape(value.shape), step)
            mine = mine.to(theirs)
            way = max(
                float((theirs - start[pair.blob]).abs().max()),
                float((mine - start[pair.blob]).abs().max()),
            )
            gap = float((mine - theirs).abs().max())
            if gap > 1e-13 * float(theirs.abs().max()):
                worst = max(worst, gap / way)
    return worst
