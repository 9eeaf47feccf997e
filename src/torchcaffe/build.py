"""From filtered layers to the steps of a net: connected, checked, planned, with every shape known.

Caffe: ``src/caffe/net.cpp`` (Net::Init, AppendTop, AppendBottom, AppendParam).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from operator import attrgetter
from typing import Any

import torch
from torch import nn

from torchcaffe.errors import InputError, LayerError, NetError, NetWarning, UnknownLayerError
from torchcaffe.graph import insert_splits
from torchcaffe.layers._call import Bottom, Call, Function
from torchcaffe.layers._exactness import Exactness, of_terms
from torchcaffe.layers._registry import (
    LayerType,
    Plan,
    Setup,
    Shape,
    add_note,
    check_arity,
    describe,
    layer_type,
    layer_types,
    shape_text,
    unknown_type,
)
from torchcaffe.need import Edge, Needs, backward_needs
from torchcaffe.proto.schema import BlobShape, LayerParameter, ParamSpec

DATA_LAYERS = ("Data", "HDF5Data", "ImageData", "MemoryData", "WindowData")

LARGEST = 2**31 - 1
"""The most numbers in a blob, in Caffe."""


@dataclass
class Step:
    """One layer of a net that runs."""

    param: LayerParameter
    phase: str
    kind: LayerType
    plan: Plan
    bottoms: list[str]
    tops: list[str]
    bottom_shapes: list[Shape]
    top_shapes: list[Shape]
    loss_weights: list[float]
    module: nn.Module | None
    function: Function | None
    specs: list[ParamSpec]
    needs: Needs = field(default_factory=lambda: Needs(False, [], []))
    overwritten: bool = False
    """Whether its backward pass reads a top that a later layer has changed in place."""
    also_changes: list[str] = field(default_factory=list)
    """Blobs that lie in the memory that it changes in place."""

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.param.name

    @property
    def exactness(self) -> Exactness:
        """The class of the forward pass: the options' own, or the type's."""
        return of_terms(self.plan.exactness or self.kind.exactness, self.terms)

    @property
    def gradient(self) -> Exactness:
        """The class of the gradients."""
        return of_terms(self.kind.gradient, max(self.terms, self._gradient_terms))

    @property
    def terms(self) -> int:
        """How many numbers the forward pass adds up, at most, for one of a top.

        By the multiply-adds where there are; otherwise all of a bottom that one number of the top
        stands for, or where the shapes are the same, a row across the channels or all of a channel.
        """
        tops = sum(prod(shape) for shape in self.top_shapes)
        bottom = prod(self.bottom_shapes[0]) if self.bottom_shapes else 0
        if self.plan.multiply_adds:
            return self.plan.multiply_adds // max(tops, 1)
        if 0 < bottom == tops and len(self.bottom_shapes[0]) > 1:
            channels = max(self.bottom_shapes[0][1], 1)
            return max(channels, bottom // channels)
        return bottom // max(tops, 1)

    @property
    def _gradient_terms(self) -> int:
        """As ``terms``: a weight's over all places of its output, a bottom's over its weights."""
        tops = sum(prod(shape) for shape in self.top_shapes)
        bottoms = sum(prod(shape) for shape in self.bottom_shapes)
        shapes = [
            blob.shape
            for spec in self.plan.blobs
            if self.module is not None
            for blob in [attrgetter(spec.attribute)(self.module)]
        ]
        weights = [tops // shape[0] if len(shape) else tops for shape in shapes]
        return max([self.plan.multiply_adds // max(bottoms, 1), *weights])

    @property
    def indices(self) -> tuple[int, ...]:
        """The places of the bottoms that hold indices or labels."""
        count = len(self.bottoms)
        return tuple(place % count for place in self.kind.indices if place < count)

    @property
    def setup(self) -> Setup:
        """What the layer was planned from."""
        return Setup(self.param, self.phase, tuple(self.bottom_shapes), len(self.tops))


def build_steps(
    layers: Sequence[LayerParameter],
    phase: str,
    inputs: Mapping[str, Sequence[int]],
    force_backward: bool = False,
    allow_python: bool = False,
) -> list[Step]:
    """Connect, check and plan ``layers`` (already filtered); shapes in ``inputs`` replace the
    prototxt's, and stand in for data layers; Python layers are run only if they are allowed."""
    layers = [_as_input(layer, inputs) for layer in layers]
    _refuse_unknown(layers)
    layers = insert_splits(layers)
    shapes: dict[str, Shape] = {}
    available: list[str] = []
    steps = []
    for layer in layers:
        own_phase = layer.phase if layer.has("phase") else phase
        steps.append(build_step(layer, own_phase, shapes, available, allow_python))
    _mark_overwritten(steps)
    _mark_changes(steps)
    edges = [_edge(step) for step in steps]
    for step, needs in zip(steps, backward_needs(edges, force_backward), strict=True):
        step.needs = needs
    _note_lost_gradients(steps)
    unused = set(inputs) - {top for step in steps for top in step.tops if step.kind.name == "Input"}
    if unused:
        known = [top for step in steps if step.kind.name == "Input" for top in step.tops]
        raise InputError(
            f"shape given for {_quoted(sorted(unused))}, but the net's inputs are {_quoted(known)}"
        )
    return steps


def _mark_overwritten(steps: Sequence[Step]) -> None:
    """Find the layers whose gradient Caffe computes from what another layer left in their place."""
    for index, step in enumerate(steps):
        if not step.kind.reads_top:
            continue
        for other in steps[index + 1 :]:
            in_place = any(name in other.tops and name in other.bottoms for name in step.tops)
            # Behind a ReLU these keep the sign, and pass no gradient where they do not.
            harmless = step.kind.name == "ReLU" and other.kind.name in ("ReLU", "Dropout")
            step.overwritten |= in_place and not harmless


def _mark_changes(steps: Sequence[Step]) -> None:
    """Find the blobs that a layer in place changes beside its own."""
    memory: dict[str, set[str]] = {}
    for step in steps:
        for name, shape in zip(step.tops, step.top_shapes, strict=True):
            if name in step.bottoms:
                step.also_changes = sorted(memory[name] - {name})
                continue
            memory[name] = {name}
            if step.kind.shares_data and prod(shape) == prod(step.bottom_shapes[0]):
                memory[name] = memory[step.bottoms[0]]
                memory[name].add(name)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "none"


def _as_input(layer: LayerParameter, inputs: Mapping[str, Sequence[int]]) -> LayerParameter:
    """The layer with the caller's input shapes put in, a data layer turned into an Input."""
    given = [name in inputs for name in layer.top]
    if layer.type != "Input" and layer.type not in DATA_LAYERS:
        return layer
    if not any(given):
        return layer
    if layer.type in DATA_LAYERS and not all(given):
        missing = _quoted([name for name in layer.top if name not in inputs])
        raise LayerError(
            f"{describe(layer, 'type')}: reads its data from a source, unless all its tops are "
            f"inputs; give the net {missing} as inputs instead"
        )
    twin: LayerParameter = layer.copy()
    twin.type = "Input"
    old = list(layer.input_param.shape)
    shapes = []
    for position, name in enumerate(layer.top):
        if name in inputs:
            shapes.append(BlobShape(dim=list(inputs[name])))
        elif old:
            shapes.append(old[0] if len(old) == 1 else old[position])
        else:
            shapes.append(BlobShape())
    twin.ensure("input_param").shape = shapes
    return twin


def _refuse_unknown(layers: Sequence[LayerParameter]) -> None:
    missing = Counter(layer.type for layer in layers if layer.type not in layer_types())
    if not missing:
        return
    first = next(layer for layer in layers if layer.type in missing)
    message = f"{describe(first, 'type')}: {unknown_type(first.type)}"
    if len(missing) > 1 or missing.total() > 1:
        listed = ", ".join(f"{name} ({count}x)" for name, count in sorted(missing.items()))
        message += f" In this net, unknown are: {listed}."
    raise UnknownLayerError(message)


def build_step(
    layer: LayerParameter,
    phase: str,
    shapes: dict[str, Shape],
    available: list[str],
    allow_python: bool,
) -> Step:
    """Connect, check and plan one layer; the blobs it makes are added to shapes and available."""
    kind = layer_type(layer)
    for name in layer.bottom:
        if name not in available:
            raise NetError(
                f'{describe(layer, "bottom")}: bottom "{name}" was changed in place by a later '
                f"layer, and read before; give the in-place layer's top a name of its own"
            )
        available.remove(name)
    tops = list(layer.top)
    if kind.loss:
        tops += ["(automatic)"] * (max(kind.tops[0], 1) - len(tops))
    _connect_tops(layer, kind, tops, shapes)
    bottoms = tuple(shapes[name] for name in layer.bottom)
    setup = Setup(layer, phase, bottoms, len(tops), allow_python)
    check_arity(setup, kind)
    _warn_unread(setup, kind)
    plan = kind.plan(setup)
    module, top_shapes = evaluate(setup, plan, kind)
    for name, shape in zip(tops, top_shapes, strict=True):
        if prod(shape) > LARGEST:
            raise setup.refuse(
                f'its top "{name}" of {shape_text(shape)} has {prod(shape)} numbers, more than the '
                f"{LARGEST} that a blob can hold"
            )
        shapes[name] = shape
    available.extend(layer.top)
    specs = _param_specs(setup, plan)
    return Step(
        param=layer,
        phase=phase,
        kind=kind,
        plan=plan,
        bottoms=list(layer.bottom),
        tops=tops,
        bottom_shapes=list(setup.bottoms),
        top_shapes=top_shapes,
        loss_weights=_loss_weights(setup, kind, len(tops)),
        module=module,
        function=function_of(plan, len(tops)),
        specs=specs,
    )


def _warn_unread(setup: Setup, kind: LayerType) -> None:
    """Say which options Caffe, and so we, leave unread."""
    for read, _ in setup.param.present():
        if read.name.endswith("_param") and read.name not in kind.params:
            warnings.warn(
                f"{describe(setup.param, read.name)}: {kind.name} does not read {read.name}; "
                f"Caffe ignores it silently",
                NetWarning,
                stacklevel=2,
            )


def _connect_tops(
    layer: LayerParameter, kind: LayerType, tops: Sequence[str], shapes: Mapping[str, Shape]
) -> None:
    for position, name in enumerate(tops):
        in_place = position < len(layer.bottom) and layer.bottom[position] == name
        if in_place and kind.in_place in ("wrong", "refused"):
            what = (
                "refuses" if kind.in_place == "refused" else "overwrites its own input and fails at"
            )
            raise LayerError(
                f'{describe(layer, "top")}: top "{name}" is its bottom too; Caffe\'s {kind.name} '
                f"{what} working in place. Give the top a name of its own"
            )
        if not in_place and (name in shapes or name in tops[:position]) and name != "(automatic)":
            raise NetError(
                f'{describe(layer, "top")}: top "{name}" is made by an earlier layer already; only '
                f"a layer that works in place (the same name as bottom {position}) may repeat it. "
                f"If another layer reads the blob before an in-place layer changes it, give the "
                f"in-place layer's top a name of its own"
            )


def evaluate(setup: Setup, plan: Plan, kind: LayerType) -> tuple[nn.Module | None, list[Shape]]:
    """The layer's module (on the meta device) and its top shapes."""
    known = plan.tops
    if plan.module is not None and known is not None:
        return plan.module, list(known)
    if isinstance(plan.call, Bottom):
        known = (setup.bottoms[plan.call.index],) * setup.tops
    elif known is None and kind.in_place in ("ok", "forward"):
        known = setup.bottoms[:1]
    with torch.device("meta"):
        try:
            module = construct(plan)
            if known is not None:
                return module, list(known)
            bottoms = [torch.empty(shape) for shape in setup.bottoms]
            tops = apply(function_of(plan, setup.tops), module, bottoms)
        except (RuntimeError, ValueError, IndexError) as error:
            listed = ", ".join(shape_text(shape) for shape in setup.bottoms)
            raise setup.refuse(f"cannot be computed for bottoms of {listed}: {error}") from error
    return module, [tuple(top.shape) for top in tops]


def construct(plan: Plan) -> nn.Module | None:
    """The module of a plan, or None if the plan is a function of the bottoms."""
    if isinstance(plan.call, Bottom) or not plan.call.is_module:
        return None
    module = plan.call.build()
    assert isinstance(module, nn.Module)
    return module


def function_of(plan: Plan, tops: int) -> Function | None:
    """A plan without a module as a function of the bottoms."""
    if plan.module is not None:
        return None
    if isinstance(plan.call, Call):
        return None if plan.call.is_module else plan.call.function()
    index = plan.call.index
    if tops <= 1:
        return lambda bottoms: bottoms[index]
    # Several tops are views, so that each has a gradient of its own.
    return lambda bottoms: tuple(bottoms[index].view_as(bottoms[index]) for _ in range(tops))


def apply(
    function: Function | None, module: nn.Module | None, bottoms: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """The layer's tops."""
    result: Any
    if function is not None:
        result = function(bottoms)
    else:
        assert module is not None
        result = module(*bottoms)
    if isinstance(result, torch.Tensor):
        return (result,)
    return tuple(result) if result is not None else ()


class NoGradient(torch.autograd.Function):
    """x, whose gradient stays 0."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """x as it is."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """0."""
        return torch.zeros_like(grad)


def without_gradient(x: torch.Tensor) -> torch.Tensor:
    """x; see NoGradient."""
    result: torch.Tensor = NoGradient.apply(x)  # type: ignore[no-untyped-call]
    return result


def _note_lost_gradients(steps: Sequence[Step]) -> None:
    """Mark the layers whose top's gradient does not reach their bottom or parameter.

    Reshape, Parameter, and Concat and Slice with one bottom and top let the two share the memory of
    one gradient. A Flatten that reads the top lets it share its own instead, and what it shared
    before stays 0 (flatten_layer.cpp).
    """
    sharing: dict[str, Step] = {}
    for step in steps:
        maker = sharing.get(step.bottoms[0]) if step.kind.name == "Flatten" else None
        if maker is not None and step.needs.layer and maker.needs.layer:
            maker.needs.lost = True
            warnings.warn(
                f"{describe(step.param)}: its gradient gets lost at {maker.kind.name} layer "
                f'"{maker.name}", as in Caffe 1.0, and nothing below learns from it. To keep it, '
                f'make "{maker.name}" a Reshape to the shape that {step.kind.name} gives',
                NetWarning,
                stacklevel=2,
            )
        single = step.kind.name in ("Concat", "Slice") and len(step.bottoms) == len(step.tops) == 1
        if single or step.kind.name in ("Reshape", "Parameter"):
            sharing[step.tops[0]] = step


def _param_specs(setup: Setup, plan: Plan) -> list[ParamSpec]:
    given = list(setup.param.param)
    if len(given) > len(plan.blobs):
        raise setup.refuse(f"has {len(given)} param entries for {len(plan.blobs)} parameter blobs")
    return given + [ParamSpec() for _ in plan.blobs[len(given) :]]


def _loss_weights(setup: Setup, kind: LayerType, tops: int) -> list[float]:
    given = list(setup.param.loss_weight)
    if given:
        if len(given) != tops:
            raise setup.refuse(f"has {len(given)} loss_weight entries for {tops} tops")
        return given
    return [1.0 if kind.loss and position == 0 else 0.0 for position in range(tops)]


def _edge(step: Step) -> Edge:
    down = list(step.param.propagate_down)
    if down and len(down) != len(step.bottoms):
        raise step.setup.refuse(
            f"has {len(down)} propagate_down entries for {len(step.bottoms)} bottoms"
        )
    return Edge(
        bottoms=step.bottoms,
        tops=step.tops,
        rates=[spec.lr_mult for spec in step.specs],
        loss_weights=step.loss_weights,
        propagate_down=down,
        forceable=[index not in step.indices for index in range(len(step.bottoms))],
    )


def explain(step: Step, bottoms: Sequence[torch.Tensor], error: Exception) -> Exception:
    """The error of a layer that ran into inputs it was not planned for.

    What a Python layer raises stays as it is, with a note that names the layer.
    """
    if step.kind.name == "Python" and not hasattr(error, "__notes__"):
        add_note(error, f"in {describe(step.param)}")
    if step.kind.name == "Python" or not isinstance(error, (RuntimeError, IndexError)):
        return error
    if torch.compiler.is_compiling():
        return error
    shapes = [tuple(bottom.shape) for bottom in bottoms]
    planned = ", ".join(shape_text(shape) for shape in step.bottom_shapes)
    got = ", ".join(shape_text(shape) for shape in shapes)
    if shapes == step.bottom_shapes:
        return LayerError(f"{describe(step.param)}: cannot be computed: {error}")
    return LayerError(
        f"{describe(step.param)}: was built for bottoms of {planned}, and cannot be computed for "
        f"{got}: {error}"
    )
