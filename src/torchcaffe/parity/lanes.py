"""One layer computed several ways side by side: as it is, in float64, and moved by a little.

A net is walked once, every lane one layer at a time: blobs that no later layer reads are let go,
so that a net of any depth is compared in the memory of a few of its blobs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from torchcaffe.build import Step, apply
from torchcaffe.net import CaffeNet
from torchcaffe.parity.compare import Sensitivity
from torchcaffe.parity.moderate import moderated
from torchcaffe.parity.nudge import Nudge
from torchcaffe.random import Mersenne

Array = np.ndarray[Any, np.dtype[Any]]
Answers = dict[str, Tensor]

STEP = 2.0**-12
"""How far the moved lanes are off. They run in float32, whose own roundings must be small beside
it; kinks and jumps that this crosses and a rounding would not are few."""

BELOW = "bottom"
"""The answer that keeps a ReLU's bottom: what it cuts off hides how far the bottom moves, and a
rounding may carry it over zero."""

PROBES = 4
"""How many moved lanes there are."""


@dataclass
class Lane:
    """One way to compute a layer.

    ``module`` is the net's own, or a twin of it in another type, with its blobs moved by ``nudge``.
    """

    step: Step
    module: nn.Module | None
    dtype: torch.dtype
    nudge: Nudge | None = None
    own: bool = False
    drawn: NDArray[np.uint32] | None = None
    """Where a layer that draws random numbers left the stream."""

    def answers(
        self,
        bottoms: Sequence[Tensor],
        stream: NDArray[np.uint32],
        top_diffs: Sequence[Tensor] | None = None,
    ) -> Answers:
        """What the layer makes of ``bottoms``, its random numbers taken from ``stream`` on.

        ``top/i``; ``statistic/i`` for parameters that forward may change; with gradients on the
        tops also ``diff/i`` of each bottom and ``pdiff/i`` of each parameter that take one.
        """
        module, draws = self.module, hasattr(self.module, "stream")
        reset = hasattr(module, "reset_state")
        if module is not None and (
            draws
            or reset
            or self.step.plan.module is not None
            or next(module.buffers(), None) is not None
        ):
            module = copy.deepcopy(module)
        if reset:
            cast(Any, module).reset_state()
        if draws:
            source = Mersenne(0)
            source.state = stream
            setattr(module, "stream", source)  # noqa: B010
        given = [bottom.detach().to(self.dtype) for bottom in bottoms]
        found = self._answers(given, module, top_diffs)
        if draws:
            self.drawn = source.state
        return found

    def _answers(
        self,
        bottoms: Sequence[Tensor],
        module: nn.Module | None,
        top_diffs: Sequence[Tensor] | None,
    ) -> Answers:
        backward = top_diffs is not None
        with torch.set_grad_enabled(backward), self.nudge or nullcontext():
            for bottom, need in zip(bottoms, self.step.needs.bottoms, strict=True):
                bottom.requires_grad_(need and backward)
            tops = apply(self.step.function, module, bottoms)
            found = {f"top/{index}": top.detach() for index, top in enumerate(tops)}
            found |= _statistics(self.step, module)
            if top_diffs is not None:
                above = [diff.to(self.dtype) for diff in top_diffs]
                found |= self._gradients(bottoms, module, tops, above)
        return found

    def _gradients(
        self,
        bottoms: Sequence[Tensor],
        module: nn.Module | None,
        tops: Sequence[Tensor],
        top_diffs: Sequence[Tensor],
    ) -> Answers:
        wanted = {f"diff/{index}": bottom for index, bottom in enumerate(bottoms)}
        wanted |= {f"pdiff/{i}": blob for i, blob in enumerate(blobs_of(self.step, module))}
        wanted = {name: value for name, value in wanted.items() if value.requires_grad}
        pairs = [pair for pair in zip(tops, top_diffs, strict=True) if pair[0].requires_grad]
        grads: Sequence[Tensor | None] = [None] * len(wanted)
        if pairs and wanted:
            roots, diffs = zip(*pairs, strict=True)
            grads = torch.autograd.grad(roots, list(wanted.values()), diffs, allow_unused=True)
        return {
            name: torch.zeros_like(value) if grad is None else grad
            for (name, value), grad in zip(wanted.items(), grads, strict=True)
        }


def blobs_of(step: Step, module: nn.Module | None) -> list[Tensor]:
    """A layer's parameter blobs as they stand in ``module``."""
    if module is None:
        return []
    return [getattr(*_place(module, blob.attribute)) for blob in step.plan.blobs]


def _place(module: nn.Module, attribute: str) -> tuple[nn.Module, str]:
    path, _, leaf = attribute.rpartition(".")
    return module.get_submodule(path), leaf


def _statistics(step: Step, module: nn.Module | None) -> Answers:
    """The blobs that forward may change; no solver does."""
    if module is None:
        return {}
    places = [_place(module, blob.attribute) for blob in step.plan.blobs]
    return {
        f"statistic/{index}": getattr(holder, leaf).detach()
        for index, (holder, leaf) in enumerate(places)
        if leaf in holder._buffers
    }


def twin(step: Step, module: nn.Module | None, dtype: torch.dtype, nudge: Nudge | None) -> Lane:
    """A lane with blobs of its own."""
    if module is None:
        return Lane(step, None, dtype, nudge)
    module = copy.deepcopy(module).to(dtype)
    with torch.no_grad():
        for declared in step.plan.blobs:
            holder, leaf = _place(module, declared.attribute)
            blob = getattr(holder, leaf)
            if leaf in vars(holder):  # a view of another layer's blob, which to() leaves alone
                blob = blob.to(dtype, copy=True)
                setattr(holder, leaf, blob)
            if nudge:
                blob.data.mul_(nudge.signs(blob))
    return Lane(step, module, dtype, nudge)


def squared(step: Step, module: nn.Module | None) -> Lane:
    """A lane with the squares of the blobs. Of a bilinear layer, its answers to squared bottoms are
    the sums of the squares of all products."""
    lane = twin(step, module, torch.float32, None)
    with torch.no_grad():
        for blob in blobs_of(step, lane.module):
            blob.data.square_()
    return lane


def sensitivity(exact: Tensor, moved: Sequence[Tensor]) -> Sensitivity:
    """The float64 answer, and how far the moved lanes strayed from it for their step."""
    base = exact.to(moved[0].dtype)
    total = torch.zeros_like(base)
    for value in moved:
        gap = value - base
        total.addcmul_(gap, gap)
    # Infinity minus infinity moved nothing.
    square = total.mul_(1 / (len(moved) * STEP**2)).nan_to_num_(0, 0, 0)
    return Sensitivity(exact.cpu().numpy(), moderated(square, len(moved)).sqrt().cpu().numpy())


@dataclass
class Way:
    """The answers of every lane to the same question."""

    own: Answers = field(default_factory=dict)
    exact: Answers = field(default_factory=dict)
    moved: list[Answers] = field(default_factory=list)
    squares: Answers = field(default_factory=dict)

    def sensitivity(self, name: str) -> Sensitivity | None:
        """That of one answer; None where only the net's own lane ran."""
        if self.squares:
            # Each product depends on both of its factors, and is rounded itself.
            exact = self.exact[name]
            square = 2 * self.squares[name].double() + exact.square()
            return Sensitivity(exact.cpu().numpy(), square.sqrt().cpu().numpy())
        if not self.moved:
            return None
        found = sensitivity(self.exact[name], [answers[name] for answers in self.moved])
        if name.startswith("top/") and BELOW in self.exact:
            below = sensitivity(self.exact[BELOW], [answers[BELOW] for answers in self.moved])
            return Sensitivity(found.value, np.maximum(found.scale, below.scale))
        return found

    def add(self, lane: Lane, answers: Answers) -> None:
        """Keep the answers of one more lane."""
        if lane.nudge:
            self.moved.append(answers)
        elif lane.own:
            self.own = answers
        else:
            self.exact = answers


@dataclass(frozen=True)
class Question:
    """What a layer is asked alone: recorded bottoms, and gradients on its tops if there are any.

    ``probe`` is off where the layer's class needs no sensitivities.
    """

    bottoms: Sequence[Tensor]
    top_diffs: Sequence[Tensor] | None
    probe: bool

    def squares(self) -> Question:
        """The same of all squares."""
        diffs = self.top_diffs
        return Question(
            [bottom.square() for bottom in self.bottoms],
            None if diffs is None else [diff.square() for diff in diffs],
            self.probe,
        )


@dataclass(frozen=True)
class Visit:
    """One layer of a walk: what it made of the chain's blobs, and of the question put to it."""

    place: int
    step: Step
    module: nn.Module | None
    chained: Way
    local: Way


def walk(
    net: CaffeNet,
    inputs: Mapping[str, Array],
    seed: int,
    ask: Callable[[int, Step], Question],
    probes: int = PROBES,
) -> Iterator[Visit]:
    """Run the net once in every lane, layer by layer; the net is left as it was."""
    nudges = [Nudge(1701 + place, STEP) for place in range(probes)]
    blobs = _start(net, inputs, nudges)
    dtype = next(net.parameters(), torch.zeros(())).dtype
    with torch.no_grad():
        net._refresh_views()  # without their history, which cannot be copied
    stream = Mersenne(seed)
    for place, (step, module) in enumerate(zip(net.steps, net._step_modules(), strict=True)):
        if step.kind.name == "Input":
            continue
        question, state = ask(place, step), stream.state
        visit = Visit(place, step, module, Way(), Way())
        for values, lane in zip(blobs, _lanes(step, module, dtype, nudges), strict=True):
            bottoms = [values.pop(name) for name in step.bottoms]
            answers = lane.answers(bottoms, state)
            if step.kind.name == "ReLU":
                answers[BELOW] = bottoms[0]
            values |= {name: answers[f"top/{top}"] for top, name in enumerate(step.tops)}
            visit.chained.add(lane, answers)
            if lane.own or (question.probe and not (lane.nudge and step.kind.bilinear)):
                visit.local.add(lane, _alone(lane, question, state))
            if lane.own and lane.drawn is not None:
                stream.state = lane.drawn
        if question.probe and step.kind.bilinear:
            lane = squared(step, module)
            visit.local.squares = _alone(lane, question.squares(), state)
        yield visit


def _lanes(
    step: Step, module: nn.Module | None, dtype: torch.dtype, nudges: Sequence[Nudge]
) -> Iterator[Lane]:
    """The lanes of one layer, one at a time: its weights are copied for each."""
    yield Lane(step, module, dtype, own=True)
    yield twin(step, module, torch.float64, None)
    for nudge in nudges:
        yield twin(step, module, torch.float32, nudge)


def _alone(lane: Lane, question: Question, stream: NDArray[np.uint32]) -> Answers:
    bottoms, diffs = list(question.bottoms), question.top_diffs
    if lane.nudge:
        for place, bottom in enumerate(bottoms):
            if place not in lane.step.indices:
                bottoms[place] = lane.nudge.move(bottom)
        diffs = None if diffs is None else [lane.nudge.move(diff) for diff in diffs]
    return lane.answers(bottoms, stream, diffs)


def _start(net: CaffeNet, inputs: Mapping[str, Array], nudges: Sequence[Nudge]) -> list[Answers]:
    """The inputs of every lane."""
    like = next(net.parameters(), torch.zeros(()))
    own = {name: torch.as_tensor(value).to(like.device) for name, value in inputs.items()}
    fixed = net.index_inputs
    moved = [
        {name: value if name in fixed else nudge.move(value) for name, value in own.items()}
        for nudge in nudges
    ]
    return [dict(own), dict(own), *moved]
