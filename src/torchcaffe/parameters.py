"""The parameter blobs of a net's layers: their memory, fillers, sharing and multipliers.

Caffe: ``src/caffe/net.cpp`` (AppendParam) and each layer's SetUp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.build import Step
from torchcaffe.errors import LayerError, NetError
from torchcaffe.fillers import fill
from torchcaffe.layers._registry import Shape, shape_text
from torchcaffe.proto.schema import ParamSpec
from torchcaffe.random import Mersenne

Owners = dict[str, tuple[Step, int]]
"""Shared parameters by name: the layer that has them first, and which of its blobs."""


@dataclass(frozen=True)
class Learnable:
    """A parameter blob that its layer owns, with its multipliers as a solver sees them."""

    layer: str
    index: int
    value: Tensor
    lr_mult: float
    decay_mult: float


@dataclass(frozen=True)
class View:
    """A parameter that sees another one, of the layer that owns it, in a shape of its own."""

    holder: nn.Module
    leaf: str
    owner: nn.Module
    source: str
    shape: Shape

    def put(self) -> None:
        """Set the attribute to a view of what the owner holds now."""
        setattr(self.holder, self.leaf, tensor_of(self.owner, self.source).view(self.shape))


def give_memory(step: Step, module: nn.Module) -> None:
    """Put real tensors, not yet filled, in place of a planned module's."""
    for part in module.modules():
        kinds: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
        for tensors in kinds:
            for name, planned in tensors.items():
                if planned is None:
                    continue
                try:
                    memory = torch.empty(planned.shape, device="cpu")
                except (RuntimeError, MemoryError):
                    raise _no_memory(step, planned) from None
                is_parameter = isinstance(planned, nn.Parameter)
                tensors[name] = nn.Parameter(memory) if is_parameter else memory


def _no_memory(step: Step, blob: Tensor) -> LayerError:
    return step.setup.refuse(
        f"its parameters of {shape_text(blob.shape)} take {4 * blob.numel():,} bytes, more than "
        f"there is memory for"
    )


def holder_of(module: nn.Module, attribute: str) -> tuple[nn.Module, str]:
    """The module and the name by which it holds a blob's (dotted) attribute."""
    path, _, leaf = attribute.rpartition(".")
    return (module.get_submodule(path) if path else module), leaf


def tensor_of(module: nn.Module, attribute: str) -> Tensor:
    """The tensor of a blob's (dotted) attribute."""
    holder, leaf = holder_of(module, attribute)
    value = getattr(holder, leaf)
    assert isinstance(value, Tensor)
    return value


def fill_blobs(step: Step, module: nn.Module, stream: Mersenne) -> None:
    """Fill the layer's blobs, in the order in which Caffe's fillers draw."""
    filled: set[int] = set()
    order = step.plan.fill_order
    for index in range(len(step.plan.blobs)) if order is None else order:
        blob = tensor_of(module, step.plan.blobs[index].attribute)
        try:
            values = fill(step.plan.blobs[index].filler, tuple(blob.shape), stream)
        except LayerError as error:
            raise step.setup.refuse(str(error)) from error
        except MemoryError:
            raise _no_memory(step, blob) from None
        if index not in filled:
            with torch.no_grad():
                blob.copy_(torch.from_numpy(values))
        filled.add(index)


def share(steps: Sequence[Step]) -> tuple[Owners, list[View]]:
    """Let parameters of the same name be one tensor, that of the first layer."""
    owners: Owners = {}
    views: list[View] = []
    for step in steps:
        for index, spec in enumerate(step.specs):
            if spec.name in owners:
                views += _share_one(step, index, *owners[spec.name])
            elif spec.name:
                owners[spec.name] = (step, index)
    return owners, views


def _share_one(step: Step, index: int, owner: Step, owner_index: int) -> list[View]:
    """Put the owner's tensor in the sharer's place, or give the view that stands there."""
    assert step.module is not None and owner.module is not None
    attribute = step.plan.blobs[index].attribute
    source = owner.plan.blobs[owner_index].attribute
    mine, theirs = tensor_of(step.module, attribute), tensor_of(owner.module, source)
    spec = step.specs[index]
    same = mine.shape == theirs.shape
    if not same and not (spec.share_mode == "PERMISSIVE" and mine.numel() == theirs.numel()):
        raise step.setup.refuse(
            f'shares parameter "{spec.name}" with layer "{owner.name}", but its blob {index} '
            f"is {shape_text(mine.shape)} and the owner's is {shape_text(theirs.shape)}"
            + ("" if mine.numel() != theirs.numel() else "; share_mode: PERMISSIVE allows it")
        )
    holder, leaf = holder_of(step.module, attribute)
    if same:
        setattr(holder, leaf, tensor_of(owner.module, source))
        return []
    del holder._parameters[leaf]
    return [View(holder, leaf, owner.module, source, tuple(mine.shape))]


def freeze(steps: Sequence[Step]) -> None:
    """Let the parameters whose gradient Caffe does not compute take none."""
    for step in steps:
        for blob, need in zip(step.plan.blobs, step.needs.params, strict=True):
            tensor = tensor_of(step.module, blob.attribute) if step.module else None
            if isinstance(tensor, nn.Parameter) and not need:
                tensor.requires_grad_(False)


def multipliers(layer: str, specs: Sequence[ParamSpec]) -> tuple[float, float]:
    """The one value that the sharing layers give each multiplier, 1 if none does."""
    chosen = []
    for field in ("lr_mult", "decay_mult"):
        given = [getattr(spec, field) for spec in specs if spec.has(field)]
        if len(set(given)) > 1:
            raise NetError(
                f'layer "{layer}": layers that share its parameter give different {field}: '
                f"{', '.join(f'{value:g}' for value in given)}"
            )
        chosen.append(given[0] if given else 1.0)
    return chosen[0], chosen[1]
