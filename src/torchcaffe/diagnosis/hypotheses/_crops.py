"""Caffe's Crop layer with other offsets."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._registry import State
from torchcaffe.diagnosis.hypotheses._windows import cut, window
from torchcaffe.diagnosis.reference import Part


def offsets_of(part: Part, large: Tensor) -> tuple[int, ...]:
    """Where the layer's window starts, for every axis."""
    p = part.param.crop_param
    axis = p.axis % large.dim()
    count = large.dim() - axis
    given = list(p.offset) or [0]
    return (0,) * axis + tuple(given if len(given) == count else given * count)


def at_offsets(part: Part, offsets: tuple[int, ...]) -> Part:
    """The layer with its window elsewhere."""
    axis = part.param.crop_param.axis % len(offsets)

    def cropped(large: Tensor, like: Tensor) -> Tensor:
        return cut(large, offsets, large.new_empty([*large.shape[:axis], *like.shape[axis:]]))

    return part.with_function(cropped)


def guesses(state: State, part: Part) -> Iterator[tuple[tuple[int, ...], float]]:
    """Where the port may have cut, each with its cost: as its own calls do, or as people do."""
    large, reference = state.bottoms(part)
    if part is state.parts[-1] and (found := window(large, state.port)) is not None:
        yield found, 0.2
    values = state.segment.alignment.tape.values
    total = [0] * large.dim()
    for op in state.segment.calls("getitem", "narrow"):
        before, after = (values[place].tensor for place in (op.inputs[0], op.outputs[0]))
        at = window(before.float(), after.float()) if before.dim() == large.dim() else None
        if at is not None:
            total = [a + b for a, b in zip(total, at, strict=True)]
            yield at, 0.3
            yield tuple(total), 0.3
    yield from ((value, 0.8) for value in centred(large, reference))


def centred(large: Tensor, reference: Tensor) -> list[tuple[int, ...]]:
    """Where people cut: in the middle, at the start, at the end."""
    rooms = [a - b for a, b in zip(large.shape[2:], reference.shape[2:], strict=True)]
    middle = tuple(room // 2 for room in rooms)
    upper = tuple((room + 1) // 2 for room in rooms)
    return [(0, 0, *middle), (0, 0, *upper), (0,) * large.dim(), (0, 0, *rooms)]
