"""Layer types: what a layer file declares, and how the rest of the house finds it.

A layer file registers one function per Caffe type, from the layer's setup to its plan::

    @caffe_layer("ReLU", bottoms=1, tops=1, exactness=bitwise())
    def relu(layer: Setup) -> Plan:
        slope = layer.param.relu_param.negative_slope
        ...

Every public file of this folder is found and imported on the first look-up.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import nn

from torchcaffe import layers
from torchcaffe.errors import LayerError, UnknownLayerError
from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._exactness import Exactness, accumulated
from torchcaffe.proto.schema import FillerParameter, LayerParameter
from torchcaffe.proto.suggest import did_you_mean

Shape = tuple[int, ...]
Arity = tuple[int, int | None]


@dataclass(frozen=True)
class Setup:
    """What a layer knows when it is built: its parameter, phase and the shapes of its bottoms."""

    param: LayerParameter
    phase: str
    bottoms: tuple[Shape, ...]
    tops: int
    allow_python: bool = False

    @property
    def name(self) -> str:
        """The layer's name in the prototxt."""
        return self.param.name

    def refuse(self, message: str, field_name: str | None = None) -> LayerError:
        """The error for a layer that cannot be built; to be raised by the caller."""
        return LayerError(f"{describe(self.param, field_name)}: {message}")

    def require(self, condition: bool, message: str) -> None:
        """Raise ``refuse(message)`` unless ``condition`` holds."""
        if not condition:
            raise self.refuse(message)

    def axis(self, value: int, of: int = 0, *, field_name: str = "axis") -> int:
        """``value`` as an index from the front into the axes of bottom ``of``."""
        axes = len(self.bottoms[of])
        if not -axes <= value < axes:
            raise self.refuse(
                f"{field_name} {value} is out of range for a bottom with {axes} axes "
                f"{shape_text(self.bottoms[of])}"
            )
        return value % axes


def describe(param: LayerParameter, field_name: str | None = None) -> str:
    """``file:line: layer "name" (Type)``, the place left out if the net was not read from text."""
    where = param.where(field_name)
    place = f"{where.file}:{where.line}: " if where else ""
    return f'{place}layer "{param.name}" ({param.type})'


def add_note(error: Exception, note: str) -> None:
    """Put a line under an error that a person's own code raised (shown from Python 3.11 on)."""
    error.__notes__ = [*getattr(error, "__notes__", ()), note]


def shape_text(shape: Sequence[int]) -> str:
    """A shape as people write it: ``1x3x224x224``; ``()`` for a scalar."""
    return "x".join(map(str, shape)) or "()"


@dataclass(frozen=True)
class Blob:
    """A parameter blob: the module's attribute that holds it, and what fills it at the start."""

    attribute: str
    filler: FillerParameter = field(default_factory=FillerParameter)


State = Callable[[Sequence[torch.Tensor]], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Plan:
    """How a layer is computed.

    ``call`` is what runs (a ``Bottom``: every top is that bottom itself). ``blobs`` name the
    module's tensors in Caffe's order. ``plain`` is torch's own operator where it computes the same
    bits for finite numbers: codegen prints it instead, with ``plain_state`` making its tensors from
    the blobs where they differ.
    ``fill_order`` lists blob indices in the order of Caffe's filler draws where it is not simply
    each blob once (recurrent layers fill some repeatedly and keep the first). ``exactness`` is the
    forward pass's class where these options have another than the type. ``tops`` are the tops'
    shapes where the layer knows them; otherwise it is run without data to see (the first such run
    of a process costs torch two seconds). A layer that may work in place keeps its bottom's shape.
    ``module`` is what a person's own code has made for ``call`` already, with memory and values:
    only the blobs in ``fill_order`` are filled.
    """

    call: Call | Bottom
    blobs: tuple[Blob, ...] = ()
    plain: Call | Bottom | None = None
    plain_state: State | None = None
    multiply_adds: int = 0
    fill_order: tuple[int, ...] | None = None
    exactness: Exactness | None = None
    tops: tuple[Shape, ...] | None = None
    module: nn.Module | None = None


@dataclass(frozen=True)
class LayerType:
    """A Caffe layer type, as its file declares it; see ``caffe_layer``."""

    name: str
    plan: Callable[[Setup], Plan]
    bottoms: Arity
    tops: Arity
    exactness: Exactness
    gradient: Exactness
    in_place: str
    loss: bool
    equal: bool
    indices: tuple[int, ...]
    differentiable: bool
    bilinear: bool
    max_axes: int | None
    since: str
    more_params: tuple[str, ...]
    reads_top: bool
    shares_data: bool

    @property
    def params(self) -> tuple[str, ...]:
        """The fields of LayerParameter that the type reads: its own message, by its name, and
        those that it shares with other types."""
        own = [
            name
            for name, field in LayerParameter.fields.items()
            if field.kind == "message" and field.of == f"{self.name}Parameter"
        ]
        return (*own, *self.more_params)

    @property
    def doc(self) -> str:
        """The docstring of the plan function."""
        return inspect.getdoc(self.plan) or ""


REGISTRY: dict[str, LayerType] = {}


def caffe_layer(
    name: str,
    *,
    bottoms: int | Arity,
    tops: int | Arity,
    exactness: Exactness,
    gradient: Exactness | None = None,
    in_place: str = "wrong",
    loss: bool = False,
    equal: bool = False,
    indices: tuple[int, ...] = (),
    differentiable: bool = True,
    bilinear: bool = False,
    max_axes: int | None = None,
    since: str = "0.1",
    params: tuple[str, ...] = (),
    reads_top: bool = False,
    shares_data: bool = False,
) -> Callable[[Callable[[Setup], Plan]], Callable[[Setup], Plan]]:
    """Register a plan function as the Caffe layer type ``name``.

    bottoms, tops
        how many the type takes: a number, or (least, most) with None for no limit; with
        ``equal``, as many tops as bottoms.
    exactness, gradient
        the class of the forward pass and of the gradients (``accumulated()`` if not given).
    in_place
        what Caffe's own code makes of a top that is named like the bottom: "ok"; "forward" (right
        forward, wrong backward); "wrong" (wrong already forward); "refused" (Caffe aborts).
    loss
        top 0 has loss weight 1 unless the prototxt gives one.
    indices
        bottoms that hold indices or labels in floats: they take no gradient (-1: the last).
    differentiable
        False where Caffe has no backward pass.
    bilinear
        every top is a sum of products of a bottom's values with those of a blob, and of a blob.
    max_axes
        4 for the layers that Caffe writes with num, channels, height and width.
    params
        parameter messages that the type reads beside its own: "loss_param", or for Deconvolution
        "convolution_param".
    reads_top
        Caffe's backward pass reads the layer's top where it lies (and in place, so its bottom), so
        that a later layer which works in place on it changes this layer's gradient as well.
    shares_data
        a top with as many elements as the bottom is the bottom's memory, so that a later layer
        which works in place on one changes the other.
    """

    def register(plan: Callable[[Setup], Plan]) -> Callable[[Setup], Plan]:
        if name in REGISTRY:
            owner = REGISTRY[name].plan.__module__
            raise ValueError(f'layer type "{name}" belongs to {owner} already')
        REGISTRY[name] = LayerType(
            name=name,
            plan=plan,
            bottoms=(bottoms, bottoms) if isinstance(bottoms, int) else bottoms,
            tops=(tops, tops) if isinstance(tops, int) else tops,
            exactness=exactness,
            gradient=gradient or accumulated(),
            in_place=in_place,
            loss=loss,
            equal=equal,
            indices=indices,
            differentiable=differentiable,
            bilinear=bilinear,
            max_axes=max_axes,
            since=since,
            more_params=params,
            reads_top=reads_top,
            shares_data=shares_data,
        )
        return plan

    return register


@cache
def discover() -> None:
    """Import every public file of this folder, in sorted order."""
    for module in sorted(pkgutil.iter_modules(layers.__path__), key=lambda found: found.name):
        if not module.name.startswith("_"):
            importlib.import_module(f"{layers.__name__}.{module.name}")


def layer_types() -> dict[str, LayerType]:
    """Every known layer type by name, sorted."""
    discover()
    return dict(sorted(REGISTRY.items()))


def layer_type(param: LayerParameter) -> LayerType:
    """The type of a layer; UnknownLayerError with a suggestion if there is none."""
    types = layer_types()
    if param.type in types:
        return types[param.type]
    raise UnknownLayerError(f"{describe(param, 'type')}: {unknown_type(param.type)}")


def unknown_type(name: str) -> str:
    """The sentence about a type that is not known."""
    hint = did_you_mean(name, layer_types()) or "."
    return (
        f'type "{name}" is not a layer torchcaffe knows{hint} '
        f'"torchcaffe layers" lists those it knows, torchcaffe.register_layer adds one.'
    )


def check_arity(layer: Setup, kind: LayerType) -> None:
    """Refuse a layer with too few or too many bottoms, tops or axes, as Caffe does."""
    for what, count, (least, most) in (
        ("bottom", len(layer.bottoms), kind.bottoms),
        ("top", layer.tops, kind.tops),
    ):
        if count < least or (most is not None and count > most):
            if least == most:
                wanted = str(least)
            else:
                wanted = f"at least {least}" if most is None else f"{least} to {most}"
            plural = "" if wanted in ("1", "at least 1") else "s"
            raise layer.refuse(f"takes {wanted} {what}{plural}, got {count}")
    if kind.equal and len(layer.bottoms) != layer.tops:
        raise layer.refuse(
            f"takes as many tops as bottoms, got {len(layer.bottoms)} bottoms and {layer.tops} tops"
        )
    for index, shape in enumerate(layer.bottoms):
        if kind.max_axes is not None and len(shape) > kind.max_axes:
            raise layer.refuse(
                f"takes bottoms of at most {kind.max_axes} axes, got {shape_text(shape)} for "
                f'"{layer.param.bottom[index]}"; a Reshape layer can merge axes'
            )


def constant(value: float) -> FillerParameter:
    """A filler with one value."""
    return FillerParameter(type="constant", value=value)


def filler(param: Any, name: str, default: float = 0.0) -> FillerParameter:
    """The filler ``name`` of a parameter message, or ``constant(default)`` if it is absent."""
    return getattr(param, name) if param.has(name) else constant(default)
