"""A convolution's geometry on both sides, and its layer with the port's geometry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.nn import functional

from torchcaffe.diagnosis.anchors import Anchor
from torchcaffe.diagnosis.hypotheses._registry import State
from torchcaffe.diagnosis.reference import Part
from torchcaffe.diagnosis.tape import Op
from torchcaffe.diagnosis.weighted import argument

Pair = tuple[int, ...]

FIELDS = {
    "stride": ("stride", "stride_h", "stride_w"),
    "padding": ("pad", "pad_h", "pad_w"),
    "dilation": ("dilation",),
}


def convolutions(state: State, *kinds: str) -> Iterator[tuple[Part, Anchor | None]]:
    """The convolutions of a segment, each with the port's call if it is known."""
    for part in state.of(*(kinds or ("Convolution",))):
        yield part, state.anchor(part)


def geometry(part: Part, name: str, axes: int) -> Pair:
    """Caffe's stride, pad or dilation for each axis."""
    p = part.param.convolution_param
    first, *others = FIELDS[name]
    given = list(getattr(p, first))
    if others and any(p.has(other) for other in others):
        return tuple(getattr(p, other) for other in others)
    default = 0 if name == "padding" else 1
    return tuple(given or [default]) * (axes if len(given) <= 1 else 1)


def ported(call: Op, name: str, axes: int) -> Pair | None:
    """The port's stride, padding or dilation for each axis."""
    value: Any = argument(call, name)
    if isinstance(value, str):
        return None
    found = (int(value),) if isinstance(value, int) else tuple(int(part) for part in value)
    return found * (axes if len(found) == 1 else 1)


def with_geometry(part: Part, name: str, value: Pair) -> Part:
    """The layer with another stride, pad or dilation."""
    first, *others = FIELDS[name]
    cleared: dict[str, Any] = {f"convolution_param__{other}": None for other in others}
    return part.changed(**cleared, **{f"convolution_param__{first}": list(value)})


def axes_of(part: Part) -> int:
    """The number of a convolution's spatial axes."""
    return part.blobs[0].dim() - 2


def explicit_pad(state: State) -> Op | None:
    """The port's call that pads before a convolution."""
    return state.call("pad", "ZeroPad2d")


def padded(part: Part, room: list[int], padding: Pair) -> Part:
    """The layer on an image with zeros put around it, ``room`` as functional.pad takes it."""
    inner = with_geometry(part, "padding", padding)

    def run(x: Tensor) -> Tensor:
        wide = functional.pad(x, room).to(x.dtype)
        weight = inner.blobs[0].to(x.dtype)
        bias = inner.blobs[1].to(x.dtype) if len(inner.blobs) > 1 else None
        axes = axes_of(part)
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
        stride, dilation = geometry(part, "stride", axes), geometry(part, "dilation", axes)
        group = part.param.convolution_param.group
        return convolve(wide, weight, bias, stride, padding, dilation, group)

    return part.with_function(run)


def written(value: Pair) -> str:
    """A size as people write it."""
    return str(value[0]) if len(set(value)) == 1 else str(value)
