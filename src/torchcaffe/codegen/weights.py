"""The parameters of a printed module: a net's blobs under the module's names, each stored once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from torch import Tensor, nn

from torchcaffe.codegen.graph import Node
from torchcaffe.layers._registry import Shape
from torchcaffe.net import CaffeNet

Owner = tuple[int, int]


@dataclass
class State:
    """``tensors`` by key; ``ties`` name a key and the earlier one that holds the same parameter.

    ``views`` are ties whose parameter is the other one under another shape.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    ties: list[tuple[str, str]] = field(default_factory=list)
    views: list[tuple[str, str, Shape]] = field(default_factory=list)


def module_state(net: CaffeNet, places: Mapping[str, Node]) -> State:
    """The state of the module whose layers stand at ``places``."""
    owners = _owners(net)
    children = dict(net.named_children())
    keys: dict[Owner, str] = {}
    state = State()
    for place, node in places.items():
        assert node.step is not None
        step, key = net.steps[node.step], net.keys[node.step]
        if key is None:
            continue
        module = children[key]
        blobs = [_get(module, blob.attribute) for blob in step.plan.blobs]
        if step.plan.plain is not None and step.plan.plain_state is not None:
            named = step.plan.plain_state(blobs)
        else:
            named = {blob.attribute: t for blob, t in zip(step.plan.blobs, blobs, strict=True)}
        for name, tensor in named.items():
            path = f"{place}.{name.removeprefix(node.prefix)}"
            index = next((i for i, blob in enumerate(blobs) if blob is tensor), None)
            if index is None:
                state.tensors[path] = tensor.detach()
                continue
            owner = owners[node.step, index]
            if owner not in keys:
                keys[owner] = path
                state.tensors[path] = tensor.detach()
            elif state.tensors[keys[owner]].shape == tensor.shape:
                state.ties.append((path, keys[owner]))
            else:
                state.views.append((path, keys[owner], tuple(tensor.shape)))
    return state


def _owners(net: CaffeNet) -> dict[Owner, Owner]:
    """For each parameter blob, the first one of its name."""
    named: dict[str, Owner] = {}
    result = {}
    for place, step in enumerate(net.steps):
        for index, spec in enumerate(step.specs):
            own = (place, index)
            result[own] = named.setdefault(spec.name, own) if spec.name else own
    return result


def _get(module: nn.Module, attribute: str) -> Tensor:
    value: Any = reduce(getattr, attribute.split("."), module)
    assert isinstance(value, Tensor)
    return value


def expression(path: str) -> str:
    """A key of the state as an expression: ``self.stage1[0].conv.weight``."""
    parts = (f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
    return "self" + "".join(parts)


def tie_lines(state: State) -> list[str]:
    """The end of ``__init__`` for a net whose layers share parameters."""
    lines = [f"        {expression(path)} = {expression(other)}" for path, other in state.ties]
    for path, other, _ in state.views:
        lines.append(f"        del {expression(path)}  # forward makes it a view of {other}")
    return lines


def view_lines(state: State) -> list[str]:
    """The start of ``forward`` for parameters that are views of others."""
    return [
        f"        {expression(path)} = {expression(other)}.view{shape}"
        for path, other, shape in state.views
    ]
