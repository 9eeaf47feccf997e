"""DummyData: blobs that fillers make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.errors import LayerError
from torchcaffe.fillers import fill
from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, Shape, caffe_layer
from torchcaffe.proto import format_text, parse_text
from torchcaffe.proto.schema import FillerParameter
from torchcaffe.random import Mersenne


class DummyData(nn.Module):
    """Constants that are made once and kept, edits included; other blobs are filled at each call.

    ``fillers`` are FillerParameters as text, one for each shape. Numbers come from ``stream``;
    without one, from a stream that torch's generator seeds.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], fillers: Sequence[str]) -> None:
        super().__init__()
        self.shapes = [tuple(shape) for shape in shapes]
        self.fillers = [parse_text(text, FillerParameter) for text in fillers]
        self.kept: dict[int, Tensor] = {}
        if any(filler.type != "constant" for filler in self.fillers):
            self.stream: Mersenne | None = None
        # Without parameters, only a buffer tells the type and the device that the net is moved to.
        self.register_buffer("like", torch.empty(0), persistent=False)

    def forward(self) -> tuple[Tensor, ...]:
        """The blobs."""
        return tuple(self._blob(place) for place in range(len(self.shapes)))

    def _blob(self, place: int) -> Tensor:
        shape, filler = self.shapes[place], self.fillers[place]
        like = self.get_buffer("like")
        if filler.type == "constant":
            value = self.kept.get(place)
            value = like.new_full(shape, filler.value) if value is None else value.to(like)
            if not like.is_meta and not torch.compiler.is_compiling():
                self.kept[place] = value
            return value
        if like.is_meta:
            return like.new_empty(shape)
        if torch.compiler.is_exporting():
            raise RuntimeError(
                "its random numbers come from a stream outside the graph; an exported net would "
                "give the same ones for ever. Put an Input layer in its place"
            )
        stream = self.stream or Mersenne(int(torch.randint(2**32, ())))
        return torch.from_numpy(fill(filler, shape, stream)).to(like)


def constants(*blobs: tuple[Sequence[int], float]) -> tuple[Tensor, ...]:
    """A tensor for each shape and value."""
    return tuple(torch.full(tuple(shape), value) for shape, value in blobs)


@caffe_layer(
    "DummyData",
    bottoms=0,
    tops=(1, None),
    exactness=bitwise(),
    gradient=bitwise(),
    differentiable=False,
)
def dummy_data(layer: Setup) -> Plan:
    """y_i = what its data_filler makes: a constant once, random numbers at each pass.

    tops    y_i  one shape for all or one for each; so too data_filler, a constant 0 without
    torch   torch.full for constants; other fillers draw from the net's stream
    Caffe   src/caffe/layers/dummy_data_layer.cpp
    """
    shapes = _shapes(layer)
    fillers = list(layer.param.dummy_data_param.data_filler) or [FillerParameter()]
    layer.require(
        len(fillers) in (1, layer.tops),
        f"has {len(fillers)} data_filler for {layer.tops} tops; give none, one for all or one for "
        f"each",
    )
    if len(fillers) == 1:
        fillers *= layer.tops
    for shape, filler in zip(shapes, fillers, strict=True):
        try:
            fill(filler, shape, Mersenne(0))
        except LayerError as error:
            raise layer.refuse(str(error)) from error
    texts = tuple(format_text(filler).strip() for filler in fillers)
    call = Call("torchcaffe.layers.dummy_data.DummyData", tuple(shapes), texts)
    plain = None
    if all(filler.type == "constant" for filler in fillers):
        pairs: list[Any] = [(s, f.value) for s, f in zip(shapes, fillers, strict=True)]
        plain = Call("torchcaffe.layers.dummy_data.constants", *pairs)
    return Plan(call, plain=plain, tops=tuple(shapes))


def _shapes(layer: Setup) -> list[Shape]:
    p = layer.param.dummy_data_param
    names = ("num", "channels", "height", "width")
    given = [name for name in names if getattr(p, name)]
    layer.require(not (given and p.shape), f"has both shape and {', '.join(given)}; give shape")
    if not given:
        _require_count(layer, "shape", len(p.shape))
        shapes = [tuple(shape.dim) for shape in p.shape]
    else:
        for name in names:
            _require_count(layer, name, len(getattr(p, name)))
        sizes = [_for_each(layer, list(getattr(p, name))) for name in names]
        shapes = list(zip(*sizes, strict=True))
    for shape in shapes:
        layer.require(all(size > 0 for size in shape), f"every dim must be positive, got {shape}")
    return _for_each(layer, shapes)


def _for_each(layer: Setup, values: list[Any]) -> list[Any]:
    return values * layer.tops if len(values) == 1 else values


def _require_count(layer: Setup, name: str, count: int) -> None:
    layer.require(
        count in (1, layer.tops),
        f"has {count} {name} for {layer.tops} tops; give one for all or one for each",
    )
