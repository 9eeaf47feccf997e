"""A net as codegen sees it: calls that make values from values.

Splits and other layers that only hand on their bottom are gone; each value has one maker and keeps
the name of the Caffe blob that held it. What layers read from a source of data are inputs. Layers
whose tops nobody reads are left out and listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from torchcaffe.build import DATA_LAYERS, Step
from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._registry import Shape
from torchcaffe.net import CaffeNet


@dataclass(frozen=True)
class Variable:
    """A parameter of a printed class, where a net has a number."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Times:
    """A whole multiple of a parameter."""

    factor: int
    variable: Variable

    def __str__(self) -> str:
        return f"{self.factor} * {self.variable}"


@dataclass(frozen=True)
class Instance:
    """One object of a printed class, among the arguments of an ``nn.Sequential``."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Repeat:
    """``*(what for variable in over)``."""

    what: Instance
    variable: str
    over: str


@dataclass(eq=False)
class Value:
    """What a call computes, or an input; ``blob`` is Caffe's name for it."""

    blob: str
    shape: Shape


@dataclass(eq=False)
class Node:
    """One call: of a torch target (a dotted path), or of a block (a class that is printed).

    ``args`` and ``kwargs`` construct a module if ``module`` is true; otherwise they are those of a
    function, with ``Bottom`` standing for the inputs. ``packed`` calls give a tuple of one.
    ``random`` ones draw random numbers. ``step`` is the place of the layer in the net's steps,
    ``prefix`` what is cut off the keys of its plain state. An instance of a block, or a
    Sequential, lists what it stands for in ``inner``. ``twin`` is an earlier node whose module is
    to be used again. ``only_if`` names the class's parameter without which the node is an identity.
    ``label`` is what the layers' names call an instance.
    """

    layer: str
    kind: str
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    module: bool
    learns: bool = False
    packed: bool = False
    random: bool = False
    step: int | None = None
    prefix: str = ""
    inner: tuple[Node | None, ...] = ()
    twin: Node | None = None
    attribute: str = ""
    only_if: Variable | None = None
    label: str = ""


@dataclass
class Graph:
    """Nodes in the order in which they run."""

    inputs: list[Value]
    nodes: list[Node]
    outputs: dict[str, Value]
    left_out: list[str] = field(default_factory=list)

    def readers(self) -> dict[Value, list[Node | None]]:
        """Who reads each value, once for each time; None stands for the caller."""
        result: dict[Value, list[Node | None]] = {value: [] for value in self.inputs}
        for node in self.nodes:
            for value in node.inputs:
                result.setdefault(value, []).append(node)
            for value in node.outputs:
                result.setdefault(value, [])
        for value in self.outputs.values():
            result.setdefault(value, []).append(None)
        return result

    def makers(self) -> dict[Value, Node]:
        """The node that makes each value; inputs have none."""
        return {value: node for node in self.nodes for value in node.outputs}


def net_graph(net: CaffeNet) -> Graph:
    """The graph of a net that is ready to run."""
    graph = Graph([], [], {})
    blobs: dict[str, Value] = {}
    for index, step in enumerate(net.steps):
        if step.kind.name == "Input" or step.kind.name in DATA_LAYERS:
            for name, shape in zip(step.tops, step.top_shapes, strict=True):
                blobs[name] = Value(name, shape)
                graph.inputs.append(blobs[name])
            continue
        bottoms = tuple(blobs[name] for name in step.bottoms)
        printed = step.plan.call if step.plan.plain is None else step.plan.plain
        if isinstance(printed, Bottom):
            blobs.update(dict.fromkeys(step.tops, bottoms[printed.index]))
            continue
        nodes = _nodes(index, step, printed, bottoms)
        graph.nodes += nodes
        blobs.update(zip(step.tops, nodes[-1].outputs, strict=True))
    graph.outputs = {name: blobs[name] for name in net.outputs}
    _leave_out_unread(graph)
    _find_twins(graph, net)
    return graph


def _nodes(index: int, step: Step, call: Call, bottoms: tuple[Value, ...]) -> list[Node]:
    """The nodes of one layer: one, or two where a bottom is flattened for a plain module."""
    outputs = tuple(
        Value(name, shape) for name, shape in zip(step.tops, step.top_shapes, strict=True)
    )
    flatten, behind = _flattened(call)
    nodes = []
    prefix = ""
    if flatten is not None:
        shape = tuple(flatten.build([torch.empty(bottoms[0].shape, device="meta")]).shape)
        flat = Value(step.tops[0], shape)
        nodes.append(_node(step, flatten, bottoms, (flat,)))
        call, bottoms, prefix = behind, (flat,), "1."
    node = _node(step, call, bottoms, outputs)
    node.step, node.prefix = index, prefix
    node.learns = bool(step.plan.blobs)
    node.random = hasattr(step.module, "stream")
    nodes.append(node)
    return nodes


def _flattened(call: Call) -> tuple[Call | None, Call]:
    """``nn.Sequential(nn.Flatten(...), module)`` as a function of the bottom, and the module."""
    if call.target == "torch.nn.Sequential" and len(call.args) == 2:
        first, second = call.args
        if isinstance(first, Call) and first.target == "torch.nn.Flatten":
            return Call("torch.flatten", Bottom(0), *first.args, **dict(first.kwargs)), second
    return None, call


def _node(step: Step, call: Call, bottoms: tuple[Value, ...], outputs: tuple[Value, ...]) -> Node:
    # A person's own module may need numbers where torch's operators need shapes only.
    with torch.device("meta" if step.plan.module is None else "cpu"), torch.no_grad():
        given = [torch.zeros(value.shape) for value in bottoms]
        result: Any = call.build(given)
        if isinstance(result, nn.Module):
            result = result.train(step.phase == "TRAIN")(*given)
    return Node(
        layer=step.name,
        kind=step.kind.name,
        target=call.target,
        args=call.args,
        kwargs=dict(call.kwargs),
        inputs=bottoms,
        outputs=outputs,
        module=call.is_module,
        packed=not isinstance(result, Tensor) and len(outputs) == 1,
    )


def _leave_out_unread(graph: Graph) -> None:
    """Drop the nodes that no output depends on: those that Silence and nothing else reads."""
    needed = set(graph.outputs.values())
    kept = []
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.outputs):
            if node.step is not None and node.outputs:
                graph.left_out.append(node.layer)
            continue
        needed.update(node.inputs)
        kept.append(node)
    graph.nodes = kept[::-1]
    graph.left_out.reverse()


def _find_twins(graph: Graph, net: CaffeNet) -> None:
    """Note which layers are an earlier layer once more: all parameters shared, the same call."""
    owners: dict[str, tuple[int, int]] = {}
    first: dict[Any, Node] = {}
    for node in graph.nodes:
        if node.step is None or not node.learns:
            continue
        step = net.steps[node.step]
        blobs = [
            owners.setdefault(spec.name, (node.step, index)) if spec.name else (node.step, index)
            for index, spec in enumerate(step.specs)
        ]
        key = (node.target, node.args, tuple(node.kwargs.items()), tuple(blobs))
        found = first.setdefault(key, node)
        if found is not node:
            node.twin = found
