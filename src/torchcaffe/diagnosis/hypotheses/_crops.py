"""Caffe's Crop layer with other offsets."""

from __future__ import annotations

from torch import Tensor

from torchcaffe.diagnosis.hypotheses._windows import cut
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


def centred(large: Tensor, reference: Tensor) -> list[tuple[int, ...]]:
    """Where people cut: in the middle, at the start, at the end."""
    rooms = [a - b for a, b in zip(large.shape[2:], reference.shape[2:], strict=True)]
    middle = tuple(room // 2 for room in rooms)
    upper = tuple((room + 1) // 2 for room in rooms)
    return [(0, 0, *middle), (0, 0, *upper), (0,) * large.dim(), (0, 0, *rooms)]
