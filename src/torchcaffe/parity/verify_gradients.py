"""The gradients of a recorded backward pass, layer by layer and through the whole net."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from torchcaffe.build import Step
from torchcaffe.layers._exactness import bitwise
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.classes import declared_classes
from torchcaffe.parity.compare import Difference, Sensitivity, compare
from torchcaffe.parity.gradients import gradients
from torchcaffe.parity.lanes import Visit
from torchcaffe.parity.moderate import moderated
from torchcaffe.parity.nudge import Nudge
from torchcaffe.parity.probe import Measure, answers
from torchcaffe.parity.verification import Row
from torchcaffe.recording import Recording

Array = np.ndarray[Any, np.dtype[Any]]

PAIRS = 3
"""How many pairs of moved runs there are."""

STEP = 2.0**-19
"""A gradient jumps where a ReLU's bottom crosses zero or a maximum changes places. With a step of
32 roundings, as many as may add up on the way, one run of a pair crosses where rounding may."""


class Backward:
    """A recorded backward pass beside a net's: what came down to each layer, and what it passed on.

    ``places`` gives for each step of the net its layer in the recording.
    """

    def __init__(self, net: CaffeNet, recording: Recording, places: Sequence[int]) -> None:
        self.recording, self.places = recording, places
        self.chained = chained_gradients(net, recording)
        self.given = recording.top_diffs
        names = [spec.name for step in net.steps for spec in step.specs if spec.name]
        self.shared = {name for name, count in Counter(names).items() if count > 1}
        self._read_by: dict[tuple[int, str], tuple[int, int]] = {}
        self._first: set[tuple[int, str]] = set()
        readers: dict[str, tuple[int, int]] = {}
        for place, step in reversed(list(enumerate(net.steps))):
            for name in step.tops:
                reader = readers.pop(name, None)
                if reader is not None:
                    self._read_by[place, name] = reader
                    if name not in step.bottoms:
                        self._first.add((reader[0], name))
            readers |= {name: (place, position) for position, name in enumerate(step.bottoms)}

    def top_diffs(self, place: int, step: Step) -> list[Tensor] | None:
        """The recorded gradients on a layer's tops; None if it takes none or they are unknown."""
        if not step.needs.layer or self.recording.bottom_diffs(self.places[place]) is None:
            return None
        found = []
        for name, shape, weight in zip(step.tops, step.top_shapes, step.loss_weights, strict=True):
            if (place, name) in self._read_by:
                reader, position = self._read_by[place, name]
                diffs = self.recording.bottom_diffs(self.places[reader])
                assert diffs is not None
                found.append(torch.from_numpy(diffs[position]))
            elif name in self.given:
                found.append(torch.from_numpy(self.given[name]))
            else:
                found.append(torch.full(shape, float(weight)))
        return found

    def rows(self, visit: Visit) -> Iterator[Row]:
        """The rows of one layer: what it gave its bottoms, and its parameters."""
        step, recorded = visit.step, self.recording.bottom_diffs(self.places[visit.place])
        for position, name in enumerate(step.bottoms):
            # Some layers of Caffe keep scratch where a bottom takes no gradient.
            if not step.needs.bottoms[position]:
                continue
            local = None
            if recorded is not None and f"diff/{position}" in visit.local.own:
                local = self._local(visit, f"diff/{position}", name, recorded[position])
            chained = None
            if (visit.place, name) in self._first:
                chained = self.chained.get(f"diff/{name}")
            elif recorded is None:
                continue  # an in-place layer went over it, and that pycaffe told no bottoms
            shape = step.bottom_shapes[position]
            yield Row(
                "gradient", step.name, step.kind.name, name, shape, visit.place, local, chained
            )
        yield from self._param_rows(visit)

    def _param_rows(self, visit: Visit) -> Iterator[Row]:
        step = visit.step
        for index, spec in enumerate(step.specs):
            name = f"{step.name}/{index}"
            chained = self.chained.get(f"pdiff/{name}")
            local = None
            # What layers share is recorded as the sum of all their gradients.
            if f"pdiff/{index}" in visit.local.own and spec.name not in self.shared:
                theirs = self.recording.param(step.name, index, "diff")
                local = self._local(visit, f"pdiff/{index}", name, theirs)
            if local is not None or not _nothing(chained):
                shape = tuple(self.recording.param(step.name, index, "diff").shape)
                kind = "parameter gradient"
                yield Row(kind, step.name, step.kind.name, name, shape, visit.place, local, chained)

    def _local(self, visit: Visit, answer: str, name: str, theirs: Array) -> Difference:
        allowed = visit.step.gradient
        ours = visit.local.own[answer].cpu().numpy()
        probed = visit.local.sensitivity(answer) if allowed.kind == "accumulated" else None
        return compare(name, ours, theirs, allowed, probed)


def _nothing(view: Difference | None) -> bool:
    """Whether neither side computed anything: zeros, and equal."""
    return view is None or (view.met == bitwise() and not view.largest)


def chained_gradients(net: CaffeNet, recording: Recording) -> dict[str, Difference]:
    """All gradients of the whole net: ``diff/<blob>`` and ``pdiff/<layer>/<i>``."""
    twin = copy.deepcopy(net)
    twin.seed(recording.seed or 0)
    for module in twin.modules():
        if hasattr(module, "reset_state"):
            cast(Any, module).reset_state()
    like = next(net.parameters(), torch.zeros(()))
    top_diffs, inputs = recording.top_diffs, recording.inputs

    def measure(each: CaffeNet, run: Run, extra: dict[str, Tensor]) -> dict[str, Tensor]:
        return gradients(each, run, extra)

    classes = declared_classes(net)
    probed = _sensitivities(twin, inputs, measure, top_diffs)
    given = {
        name: torch.from_numpy(value).to(like).requires_grad_() for name, value in inputs.items()
    }
    extra = {name: torch.from_numpy(value).to(like) for name, value in top_diffs.items()}
    ours = gradients(twin, twin.run(given), extra)
    allowed = {f"diff/{name}": value for name, value in classes.diffs.items()}
    allowed |= {f"pdiff/{name}": value for name, value in classes.param_diffs.items()}
    theirs = {f"diff/{name}": value for name, value in recording.diffs.items()}
    for param in recording.params:
        theirs[f"pdiff/{param.layer}/{param.index}"] = recording.param(*param.key, "diff")
    return {
        name: compare(name, ours[name].detach().cpu().numpy(), value, allowed[name], probed[name])
        for name, value in theirs.items()
        if name in ours and name in allowed
    }


def _sensitivities(
    net: CaffeNet, inputs: Mapping[str, Array], measure: Measure, extra: Mapping[str, Array]
) -> dict[str, Sensitivity]:
    """As ``probe.sensitivities``, from pairs of runs that are off by ``STEP`` up and down."""
    base = answers(net, inputs, measure, extra)
    total = {name: np.zeros(value.shape) for name, value in base.items()}
    for pair in range(PAIRS):
        for side in (STEP, -STEP):
            moved = answers(net, inputs, measure, extra, Nudge(pair, side))
            for name, value in moved.items():
                # Infinity minus infinity moved nothing; to infinity is as far as it goes.
                with np.errstate(invalid="ignore", over="ignore"):
                    total[name] += np.square(np.nan_to_num((value - base[name]) / STEP))
    found = {}
    for name, value in base.items():
        square = moderated(torch.as_tensor(total[name] / (2 * PAIRS)), PAIRS)
        found[name] = Sensitivity(value, square.sqrt().numpy())
    return found
