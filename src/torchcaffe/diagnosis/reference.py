"""Caffe's net as parts between numbered values, any of them changed and run alone.

A layer in place makes a new value; Split, and Dropout in TEST, make none: their tops are their
bottom. Losses and accuracies, which a port has outside its forward pass, are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.build import Step, apply, build_step
from torchcaffe.layers._exactness import LEAST, Exactness, accumulated, bitwise
from torchcaffe.need import Needs
from torchcaffe.net import CaffeNet
from torchcaffe.parameters import give_memory, tensor_of
from torchcaffe.parity.classes import after
from torchcaffe.parity.compare import Sensitivity
from torchcaffe.parity.lanes import STEP, Lane, sensitivity, twin
from torchcaffe.parity.nudge import Nudge
from torchcaffe.proto.schema import LayerParameter
from torchcaffe.random import Mersenne

Values = dict[int, Tensor]
Function = Callable[..., Tensor]

SAME = ("Split", "Dropout", "Input", "Silence")
PROBES = 4


@dataclass(frozen=True, eq=False)
class Part:
    """One layer between values.

    ``function`` stands in for a layer that Caffe does not have, such as a mistake of the port's.
    """

    name: str
    kind: str
    param: LayerParameter
    blobs: tuple[Tensor, ...]
    bottoms: tuple[int, ...]
    tops: tuple[int, ...]
    function: Function | None = None
    built: Step | None = field(default=None, compare=False, repr=False)

    def changed(self, **fields: Any) -> Part:
        """A copy with other fields of its layer's parameter message.

        ``message__field=value`` sets a field of a message; None clears it.
        """
        param = self.param.copy()
        for path, value in fields.items():
            *messages, leaf = path.split("__")
            holder: Any = param
            for name in messages:
                holder = holder.ensure(name)
            if value is None:
                holder.clear(leaf)
            else:
                setattr(holder, leaf, value)
        return replace(self, param=param, built=None)

    def with_blobs(self, *blobs: Tensor) -> Part:
        """A copy with other parameter blobs."""
        return replace(self, blobs=tuple(blob.float() for blob in blobs), built=None)

    def with_function(self, function: Function, kind: str = "") -> Part:
        """A copy that computes something else."""
        return replace(self, function=function, kind=kind or self.kind, built=None)

    def step(self, bottoms: Sequence[Tensor]) -> Step:
        """The layer, built for these bottoms; errors of Caffe's own checks pass through."""
        shapes = [tuple(bottom.shape) for bottom in bottoms]
        if self.built is not None and self.built.bottom_shapes == shapes:
            return self.built
        param = self.param.copy()
        param.bottom = [f"bottom {n}" for n in range(len(bottoms))]
        param.top = [f"top {n}" for n in range(len(self.tops))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = list(param.bottom)
            step = build_step(param, "TEST", dict(zip(names, shapes, strict=True)), names, True)
        step.needs = Needs(False, [False] * len(bottoms), [False] * len(step.plan.blobs))
        if step.module is not None:
            give_memory(step, step.module)
            for blob, tensor in zip(step.plan.blobs, self.blobs, strict=True):
                place = tensor_of(step.module, blob.attribute)
                if place.shape != tensor.shape and place.numel() != tensor.numel():
                    raise ValueError(f"blob of {tuple(tensor.shape)} for {tuple(place.shape)}")
                # What a pass may change must not be the net's own.
                tensor = tensor.clone() if self.kind == "BatchNorm" else tensor
                place.data = tensor.reshape(place.shape)
        return step

    def run(
        self,
        bottoms: Sequence[Tensor],
        dtype: torch.dtype = torch.float32,
        nudge: Nudge | None = None,
    ) -> tuple[Tensor, ...]:
        """The tops for these bottoms."""
        with torch.no_grad():
            if self.function is not None:
                given = [bottom.to(dtype) for bottom in bottoms]
                with nudge or nullcontext():
                    return (self.function(*given),)
            step = self.step(bottoms)
            if dtype == torch.float32 and nudge is None:
                reset = getattr(step.module, "reset_state", None)
                if reset is not None:  # each run is the first one
                    reset()
                return apply(step.function, step.module, bottoms)
            lane: Lane = twin(step, step.module, dtype, nudge)
            found = lane.answers(bottoms, stream())
            return tuple(found[f"top/{place}"] for place in range(len(self.tops)))

    @property
    def exactness(self) -> Exactness:
        """The class of the layer; that of a sum for what is none of Caffe's."""
        built = self.built
        return accumulated(LEAST) if built is None or self.function else built.exactness


@cache
def stream() -> Any:
    """Where random numbers are drawn from: nothing draws in TEST, but lanes ask."""
    return Mersenne(0).state


Parts = tuple[Part, ...]


def run_parts(
    parts: Iterable[Part],
    given: Mapping[int, Tensor],
    dtype: torch.dtype = torch.float32,
    nudge: Nudge | None = None,
) -> Values:
    """All values that the parts make of ``given`` ones, with those."""
    values = {
        value: (nudge.move(tensor) if nudge else tensor.to(dtype))
        for value, tensor in given.items()
    }
    for part in parts:
        tops = part.run([values[value] for value in part.bottoms], dtype, nudge)
        values |= dict(zip(part.tops, tops, strict=False))
    return values


def strays(parts: Parts, given: Mapping[int, Tensor], output: int) -> Sensitivity:
    """The float64 answer of some parts and how far rounding may move it."""
    exact = run_parts(parts, given, torch.float64)[output]
    moved = [
        run_parts(parts, given, torch.float32, Nudge(1701 + place, STEP))[output]
        for place in range(PROBES)
    ]
    if exact.dim() == 0:
        exact, moved = exact.reshape(1), [value.reshape(1) for value in moved]
    return sensitivity(exact, moved)


def allowed(parts: Parts) -> Exactness:
    """What the classes of some parts, one after the other, amount to."""
    total = bitwise()
    for part in parts:
        total = after(total, part.exactness)
    # A port may round where Caffe does not: folded, split or in another order.
    return after(total, accumulated(LEAST))


class Reference:
    """A CaffeNet in phase TEST as parts.

    ``names`` gives each value its blob's name, ``inputs`` and ``outputs`` are values by blob name;
    ``same`` lists, for each value, the layers that hand it on as it is.
    """

    def __init__(self, net: CaffeNet) -> None:
        self.net = net
        self.parts: list[Part] = []
        self.names: list[str] = []
        self.inputs: dict[str, int] = {}
        self.same: dict[int, list[str]] = {}
        self.left_out: list[str] = []
        newest: dict[str, int] = {}
        lost: set[str] = set()
        params = net.params
        for step, module in zip(net.steps, net._step_modules(), strict=True):
            if step.kind.name == "Input":
                for top in step.tops:
                    newest[top] = self.inputs[top] = self._value(top)
            elif step.kind.loss or step.kind.name == "Accuracy" or lost & set(step.bottoms):
                lost |= set(step.tops) - set(step.bottoms)
                self.left_out.append(step.name)
            elif step.kind.name in SAME:
                self._hand_on(step, newest)
            else:
                self._add(step, module, newest, params.get(step.name, []))
        read = {value for part in self.parts for value in part.bottoms}
        used = {name: value for name, value in newest.items() if value not in read}
        inputs = set(self.inputs.values())
        self.outputs = {
            name: value
            for name, value in used.items()
            if value not in inputs and name == self.names[value]
        }
        self.makers = {top: part for part in self.parts for top in part.tops}

    def _value(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def _hand_on(self, step: Step, newest: dict[str, int]) -> None:
        for top in step.tops:
            newest[top] = newest[step.bottoms[0]]
            if step.kind.name == "Dropout":
                self.same.setdefault(newest[top], []).append(step.name)

    def _add(
        self, step: Step, module: nn.Module | None, newest: dict[str, int], blobs: Sequence[Tensor]
    ) -> None:
        step = replace_module(step, module)
        part = Part(
            step.name, step.kind.name, step.param, tuple(blob.detach() for blob in blobs),
            tuple(newest[name] for name in step.bottoms),
            tuple(self._value(name) for name in step.tops), None, step,
        )  # fmt: skip
        newest |= dict(zip(step.tops, part.tops, strict=True))
        self.parts.append(part)

    def run(self, inputs: Mapping[str, Tensor]) -> Values:
        """Every value for these inputs."""
        given = {self.inputs[name]: tensor for name, tensor in inputs.items()}
        return run_parts(self.parts, given)

    def between(self, output: int, given: set[int]) -> Parts:
        """The parts that make ``output`` out of ``given`` values and the net's inputs."""
        needed: set[int] = set()
        todo = [output]
        while todo:
            value = todo.pop()
            if value in given or value not in self.makers:
                continue
            place = self.parts.index(self.makers[value])
            if place not in needed:
                needed.add(place)
                todo += self.parts[place].bottoms
        return tuple(self.parts[place] for place in sorted(needed))

    @cached_property
    def above(self) -> list[frozenset[int]]:
        """For each value all values that it is made of, itself included."""
        found = [frozenset([value]) for value in range(len(self.names))]
        for part in self.parts:
            of = frozenset().union(*(found[value] for value in part.bottoms))
            for top in part.tops:
                found[top] |= of
        return found


def replace_module(step: Step, module: nn.Module | None) -> Step:
    """The step with the module that the net runs."""
    return replace(step, module=module) if module is not step.module else step
