"""The known ports' differences from the original, each of which can be switched on alone.

``goturn train --ablate NAME`` trains with one. A difference is a function that changes the parts
of a run before they are put together; ``docs/why-ports-converge-worse.md`` measures all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from goturn import train
from goturn.batches import Batches
from goturn.crop import Crop
from goturn.errors import DataError
from goturn.examples import (
    SHIFTED,
    Example,
    Pair,
    Recipe,
    draw_step,
    draw_still,
    original_recipe,
)
from goturn.motion import Motion, Stream
from goturn.network import ANSWER, input_size
from goturn.sequence import Image, Sequence
from goturn.still import Still
from torchcaffe import Solver
from torchcaffe.proto import LayerParameter, NetParameter, SolverParameter, did_you_mean
from torchcaffe.solvers import Ranks

MIXED = 0.02
"""The part of the batches whose examples unsynchronised workers mixed up, in a model of them."""

EPOCH = 106 / 239
"""Iterations in an epoch of a port for each annotation of the stills: 106,000 for 239,000."""

OTHER_STREAM = 1_000_003
"""What is added to the seed for other examples of the same law."""


@dataclass
class Parts:
    """A run before it is put together; a difference changes some of them."""

    settings: train.Settings
    stills: Ordered[Still]
    videos: Ordered[Sequence]
    recipe: Recipe
    solver: SolverParameter
    net: NetParameter
    example_seed: int
    mixed: float = 0.0
    after: list[Callable[[Solver], None]] = field(default_factory=list)
    """Called with the solver when it is made."""


Change = Callable[[Parts], None]


@dataclass(frozen=True)
class Ablation:
    """One difference: ``port`` says what is done instead of the original's ``original``.

    ``change`` is None where training is the same and only tracking differs.
    """

    name: str
    original: str
    port: str
    change: Change | None


def prepare(
    name: str,
    settings: train.Settings,
    stills: Ordered[Still],
    videos: Ordered[Sequence],
    *,
    ranks: Ranks | None = None,
    **observers: Any,
) -> Solver:
    """``goturn.train.prepare`` with the difference ``name`` switched on.

    Raises DataError for a name that does not exist, or that changes tracking alone.
    """
    change = trained(name)
    parts = Parts(
        settings,
        stills,
        videos,
        original_recipe(stills, videos),
        *train.read_prototxts(settings),
        example_seed=settings.seed,
    )
    change(parts)
    return _put_together(parts, ranks, observers)


def trained(name: str) -> Change:
    """What a difference changes in training; DataError if there is none of that name."""
    if name not in ABLATIONS:
        hint = did_you_mean(name, ABLATIONS) or f"; there are {', '.join(ABLATIONS)}"
        raise DataError(f'there is no ablation "{name}"{hint}')
    change = ABLATIONS[name].change
    if change is None:
        raise DataError(
            f'"{name}" is a difference in tracking: there is nothing to train differently. '
            f"scripts/ablations.py measures it"
        )
    return change


def _put_together(parts: Parts, ranks: Ranks | None, observers: dict[str, Any]) -> Solver:
    settings = parts.settings
    size = input_size(parts.net)
    for_examples = replace(settings, seed=parts.example_seed)
    batches: Any = train.make_batches(for_examples, parts.recipe, size, ranks or Ranks())
    if parts.mixed:
        batches = MixedBatches(batches, parts.mixed, settings.seed)
    run = train.make_solver(settings, parts.solver, parts.net, batches, ranks, **observers)
    train.begin_from(run.net, settings.init)
    for finish in parts.after:
        finish(run)
    return run


# Sampling


def _need(parts: Parts, what: str) -> None:
    if not getattr(parts, what):
        raise DataError(f"this ablation is about {what}, and there are none to train with")


def _per_annotation(parts: Parts) -> None:
    _need(parts, "stills")
    still = partial(draw_annotation, parts.stills)
    parts.recipe = replace(parts.recipe, draws=(still, *parts.recipe.draws[1:]))


def _per_pair(parts: Parts) -> None:
    _need(parts, "videos")
    step = partial(draw_pair, parts.videos)
    parts.recipe = replace(parts.recipe, draws=(*parts.recipe.draws[:-1], step))


def _more_stills(parts: Parts) -> None:
    _need(parts, "stills")
    _need(parts, "videos")
    still, step = partial(draw_still, parts.stills), partial(draw_step, parts.videos)
    turns = [(n + 1) * 14 // 25 > n * 14 // 25 for n in range(25)]
    parts.recipe = replace(parts.recipe, draws=[still if turn else step for turn in turns])


def draw_annotation(stills: Ordered[Still], stream: Stream) -> Pair:
    """A uniform box among those of all stills: a crowded still comes as often as it has boxes."""
    ends = np.cumsum([len(still.boxes) for still in stills])
    number = stream.number() % int(ends[-1])
    which = int(np.searchsorted(ends, number, side="right"))
    still = stills[which]
    image = still.image()
    box = still.box(number - int(ends[which]) + len(still.boxes), image)
    return Pair(image, box, image, box)


def draw_pair(videos: Ordered[Sequence], stream: Stream) -> Pair | None:
    """A uniform step among those of all videos: a long video comes as often as it has steps."""
    steps = [max(0, sum(box is not None for box in video.boxes) - 1) for video in videos]
    ends = np.cumsum(steps)
    number = stream.number() % int(ends[-1])
    which = int(np.searchsorted(ends, number, side="right"))
    return draw_step([videos[which]], _Twice(0, number - int(ends[which]) + steps[which]))


class _Twice:
    """A stream of two numbers that are known."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = iter(numbers)

    def number(self) -> int:
        return next(self._numbers)


def _other_stream(parts: Parts) -> None:
    parts.settings = replace(parts.settings, replay=False)
    parts.example_seed += OTHER_STREAM


# Examples


def _current_target(parts: Parts) -> None:
    parts.recipe = replace(parts.recipe, make=examples_with_current_target)


def examples_with_current_target(pair: Pair, motion: Motion, stream: Stream) -> list[Example]:
    """The shifted examples show the object as it is in the current frame, not the previous one."""
    height, width = pair.current.shape[:2]
    before = Crop.around(pair.previous_box, pair.previous).cut(pair.previous)
    now = Crop.around(pair.current_box, pair.current).cut(pair.current)
    shifted = [motion.shift(pair.current_box, width, height, stream) for _ in range(SHIFTED)]
    found = []
    for target, place in [(before, pair.previous_box), *((now, place) for place in shifted)]:
        crop = Crop.around(place, pair.current)
        found.append(Example(target, crop.cut(pair.current), crop.to_crop(pair.current_box)))
    return found


def _antialiased(parts: Parts) -> None:
    parts.recipe = replace(parts.recipe, resize=antialiased_resize)


def antialiased_resize(canvas: Image, size: int) -> Image:
    """As PIL's bilinear resize: where an image shrinks, every pixel of it counts."""
    if canvas.shape[:2] == (size, size):
        return canvas
    planes = torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1)))[None]
    small = interpolate(planes, (size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())


def _mixed(parts: Parts) -> None:
    parts.mixed = MIXED


class MixedBatches:
    """Batches some of which are mixed up, as workers without a lock leave them.

    They append to three lists in turn, and now and then one list has an entry more than the others
    when a batch is taken: from there on it is shifted by one against the others. The chance is by
    batch, and each list is as likely to be the one.
    """

    def __init__(self, batches: Batches, chance: float, seed: int) -> None:
        self.batches, self.chance = batches, chance
        self.generator = np.random.default_rng([seed, 1])
        self.bad = batches.bad

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return self

    def __next__(self) -> dict[str, Tensor]:
        batch = next(self.batches)
        if self.generator.random() < self.chance:
            which = ("target", "image", "bbox")[int(self.generator.integers(3))]
            batch[which] = batch[which].roll(1, 0)
        return batch

    def state_dict(self) -> dict[str, Any]:
        """That of the batches, and where the chance stands."""
        state = {"mixed": self.generator.bit_generator.state}
        return self.batches.state_dict() | state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.batches.load_state_dict(state)
        if "mixed" in state:
            self.generator.bit_generator.state = state["mixed"]


# Solver and net


def _batch_44(parts: Parts) -> None:
    parts.settings = replace(parts.settings, batch=44)


def _by_epoch(parts: Parts) -> None:
    _need(parts, "stills")
    annotations = sum(len(still.boxes) for still in parts.stills)
    parts.solver.lr_policy = "step"
    parts.solver.gamma = 0.1
    parts.solver.stepsize = max(1, round(EPOCH * annotations))


def _bias_rates(parts: Parts) -> None:
    for layer in parts.net.layer:
        if len(layer.param) == 2:
            layer.param[1].lr_mult = layer.param[0].lr_mult


def _last_layer(parts: Parts) -> None:
    last = next(layer for layer in parts.net.layer if layer.name == ANSWER)
    last.inner_product_param.weight_filler = _before(parts.net).weight_filler.copy()
    last.inner_product_param.bias_filler = _before(parts.net).bias_filler.copy()


def _before(net: NetParameter) -> Any:
    """The parameters of the fully connected layer before the last."""
    full: list[LayerParameter] = [layer for layer in net.layer if layer.type == "InnerProduct"]
    return full[-2].inner_product_param


def _plain_momentum(parts: Parts) -> None:
    parts.after.append(keep_rate_out_of_momentum)


def keep_rate_out_of_momentum(run: Solver) -> None:
    """Have the solver's history grow with gradients alone, and the rate multiply all of it.

    Caffe's history already holds the rates of its time. The two are the same until the rate
    changes; then this multiplies the history by the new rate over the old one.
    """
    rates = [run.lr]

    def follow_rate() -> None:
        factor = run.lr / rates[0]
        if factor != 1:
            rates[0] = run.lr
            for value in run.history:
                value.mul_(factor)

    run.add_callback(on_gradients_ready=follow_rate)


ABLATIONS = {
    each.name: each
    for each in (
        Ablation(
            "per-annotation",
            "a uniform still, then a uniform box of it",
            "a uniform box among those of all stills",
            _per_annotation,
        ),
        Ablation(
            "per-pair",
            "a uniform video, then a uniform step of it",
            "a uniform step among those of all videos",
            _per_pair,
        ),
        Ablation(
            "more-stills", "stills and videos in turn", "56 stills for 44 videos", _more_stills
        ),
        Ablation(
            "antialiased-resize",
            "OpenCV's bilinear resize",
            "PIL's, which averages where it shrinks (in training and tracking)",
            _antialiased,
        ),
        Ablation(
            "truncated-boxes",
            "the tracker keeps boxes in doubles",
            "it truncates them to whole pixels in every frame",
            None,
        ),
        Ablation(
            "mixed-examples",
            "one process makes examples",
            "workers without a lock mix up the examples of 2 % of the batches",
            _mixed,
        ),
        Ablation(
            "current-target",
            "the target crop is always of the previous frame",
            "shifted examples crop it from the current frame",
            _current_target,
        ),
        Ablation("batch-44", "batches of 50", "batches of 44", _batch_44),
        Ablation(
            "schedule-by-epoch",
            "the rate falls after a number of iterations",
            "it falls after every epoch, so that the size of the data decides",
            _by_epoch,
        ),
        Ablation("bias-rates", "biases learn twice as fast", "as fast as weights", _bias_rates),
        Ablation(
            "last-layer-init",
            "the last layer is filled in its own way",
            "it is filled as the layer before it",
            _last_layer,
        ),
        Ablation(
            "momentum-without-rate",
            "the momentum holds the rates of its time",
            "it holds gradients, and today's rate multiplies all of it",
            _plain_momentum,
        ),
        Ablation(
            "random-stream",
            "one stream of random examples",
            "another stream of the same law (how far chance alone goes)",
            _other_stream,
        ),
    )
}
"""By name, in the order in which they are reported."""
