"""What several hypotheses do to a segment."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._registry import State
from torchcaffe.diagnosis.reference import Function, Part, Parts
from torchcaffe.proto.schema import LayerParameter


def added(state: State, function: Function, name: str = "(yours)") -> Parts:
    """The layers with one more computation at the end."""
    output = state.segment.pair.caffe
    made = max(max(state.values), *(top for part in state.parts for top in part.tops), 0) + 1
    parts = [
        replace(
            part,
            tops=tuple(made if top == output else top for top in part.tops),
            bottoms=tuple(
                made if value == output and _makes(state.parts, part, output) else value
                for value in part.bottoms
            ),
        )
        for part in state.parts
    ]
    source = made if any(made in part.tops for part in parts) else output
    last = Part(name, "(yours)", LayerParameter(), (), (source,), (output,), function)
    return (*parts, last)


def _makes(parts: Parts, reader: Part, value: int) -> bool:
    """Whether a part before the reader makes the value."""
    return any(value in part.tops for part in parts[: parts.index(reader)])


def begun(state: State, value: int, function: Function, name: str = "(yours)") -> Parts:
    """The layers with one more computation on a value that they start from."""
    made = max(max(state.values), *(top for part in state.parts for top in part.tops), 0) + 1
    first = Part(name, "(yours)", LayerParameter(), (), (value,), (made,), function)
    if not state.parts:
        return (replace(first, tops=(value,)),)
    parts = (
        replace(
            part, bottoms=tuple(made if old == value else old for old in part.bottoms), built=None
        )
        for part in state.parts
    )
    return (first, *parts)


def first_number(values: Tensor) -> float:
    """The first element, to be shown."""
    return float(values.reshape(-1)[0])
