"""The two bodies of a printed class: what ``__init__`` makes and what ``forward`` computes.

There is one statement for each of Caffe's blobs: layers that work in place on it are applied one
inside the other, as far as a line has room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torchcaffe.codegen.expressions import call, instance
from torchcaffe.codegen.graph import Graph, Instance, Node, Value
from torchcaffe.codegen.layout import INDENT, WIDTH, Bracket, Doc, Text, fits, paragraphs, render
from torchcaffe.codegen.names import (
    MODULE_NAMES,
    PYTHON_NAMES,
    Names,
    identifier,
    quote,
    short_kind,
)
from torchcaffe.codegen.sources import Sources

DEPTH = 2


@dataclass(frozen=True)
class Body:
    """The lines inside ``__init__`` and ``forward``, and the names of forward's inputs."""

    init: list[str]
    forward: list[str]
    inputs: list[str]


def name_attributes(nodes: Iterable[Node]) -> None:
    """Give every node that holds a module of its own the attribute that will hold it."""
    names = Names(MODULE_NAMES)
    for node in nodes:
        if node.module and node.twin is None:
            node.attribute = names.unique(identifier(node.layer, short_kind(node.kind)))
    for node in nodes:
        if node.twin is not None:
            node.attribute = node.twin.attribute


class Writer:
    """Writes the bodies of one class; ``comment`` gives the shape behind a value's statement."""

    def __init__(
        self,
        graph: Graph,
        sources: Sources,
        reserved: Iterable[str],
        comment: Callable[[Value], str] | None = None,
    ) -> None:
        self.graph, self.sources, self.comment = graph, sources, comment
        self.reserved = {*PYTHON_NAMES, *sources.names, *reserved}
        self.readers = graph.readers()
        self.makers = graph.makers()
        self.uses = {value: len(found) for value, found in self.readers.items()}
        self.names: dict[Value, str] = {}
        self.holders: dict[str, Value] = {}

    def body(self) -> Body:
        """Both bodies; attributes must have their names."""
        for value in self.graph.inputs:
            self._assign(value, identifier(value.blob, "x"))
        inputs = [self.names[value] for value in self.graph.inputs]
        stages = self._stages()
        forward = [self._statements(stage) for stage in stages]
        last = self._return()
        if last:
            forward[-1:] = [[*forward[-1], *last]] if forward else [last]
        init = [
            [line for chain in stage for node in chain for line in self.construct(node)]
            for stage in stages
        ]
        return Body(paragraphs(init), paragraphs(forward), inputs)

    def construct(self, node: Node) -> list[str]:
        """``self.name = Module(...)``, or nothing where there is none to make."""
        if not node.module or node.twin is not None:
            return []
        if not isinstance(node.target, str):
            made = instance(self.sources, Instance(node.target.name, node.args, node.kwargs))
        else:
            made = call(self.sources, node.target, node.args, node.kwargs)
        head = f"self.{node.attribute}"
        if node.only_if is None:
            return render(made, DEPTH, f"{head} = ")
        margin = " " * (DEPTH * INDENT)
        return [
            f"{margin}{head}: nn.Module = nn.Identity()",
            f"{margin}if {node.only_if}:",
            *render(made, DEPTH + 1, f"{head} = "),
        ]

    # Which nodes share a statement, and which statements stand together

    def _chains(self) -> list[list[Node]]:
        """Runs of nodes that change one blob, each by the place of its last node."""
        place = {node: index for index, node in enumerate(self.graph.nodes)}
        draws = any(node.random for node in self.graph.nodes)
        chains: dict[Node, list[Node]] = {}
        for node in self.graph.nodes:
            before = None
            for value in node.inputs:
                maker = self.makers.get(value)
                if (
                    maker is not None
                    and len(node.outputs) == len(maker.outputs) == 1
                    and value.blob == node.outputs[0].blob
                    and self.readers[value] == [node]
                    and not maker.packed
                    and not (draws and place[node] != place[maker] + 1)
                ):
                    before = maker
            chains[node] = [*(chains.pop(before) if before else []), node]
        return sorted(chains.values(), key=lambda chain: place[chain[-1]])

    def _stages(self) -> list[list[list[Node]]]:
        """Chains in groups: a new one starts where layers with weights see another image size.

        Where sizes vary and are not told, there is one group.
        """
        stages: list[list[list[Node]]] = []
        if self.comment is None:
            return [self._chains()]
        for chain in self._chains():
            if not stages or self._starts_stage(chain, stages[-1]):
                stages.append([])
            stages[-1].append(chain)
        return stages

    def _starts_stage(self, chain: list[Node], stage: list[list[Node]]) -> bool:
        first, last = stage[0], stage[-1]
        if not any(node.learns for node in chain) or (_is_block(chain) and _is_block(last)):
            return False
        if len(stage) > 1 and _size(first) != _size(last):
            return True
        shrinks = bool(chain[0].inputs) and chain[0].inputs[0].shape[2:] > _size(chain)
        return len(stage) > 1 and shrinks

    # Statements

    def _statements(self, stage: list[list[Node]]) -> list[str]:
        return [line for chain in stage for line in self._chain(chain)]

    def _chain(self, chain: list[Node]) -> list[str]:
        lines: list[str] = []
        start = 0
        while start < len(chain):
            end, doc = start + 1, self._expression(chain[start])
            while end < len(chain):
                longer = self._expression(chain[end], chain[end - 1].outputs[0], doc)
                head = f"{self._wish(chain[end].outputs[0], chain)} = "
                if not fits(longer, DEPTH, head, self._tail(chain[-1])):
                    break
                end, doc = end + 1, longer
            lines += self._assignment(chain[start:end], doc, end == len(chain))
            start = end
        return lines

    def _expression(self, node: Node, inner: Value | None = None, doc: Doc | None = None) -> Doc:
        """The node applied to its inputs, ``doc`` in the place of the value ``inner``."""
        bottoms = [
            doc if doc is not None and value is inner else Text(self.names[value])
            for value in node.inputs
        ]
        if node.module:
            return Bracket(f"self.{node.attribute}(", tuple(bottoms), ")")
        return call(self.sources, node.target, node.args, node.kwargs, bottoms)

    def _assignment(self, nodes: list[Node], doc: Doc, whole: bool) -> list[str]:
        last = nodes[-1]
        inner = {value for node in nodes[:-1] for value in node.outputs}
        for node in nodes:
            for value in node.inputs:
                if value not in inner:
                    self.uses[value] -= 1
        if self._is_answer(last):
            head = "return "
        else:
            targets = [self._target(value, nodes) for value in last.outputs]
            head = (f"({targets[0]},)" if last.packed else ", ".join(targets)) + " = "
        tail = self._tail(last) if whole else ""
        if tail and fits(doc, DEPTH, head) and not fits(doc, DEPTH, head, tail):
            return [" " * (DEPTH * INDENT) + tail.strip(), *render(doc, DEPTH, head)]
        return render(doc, DEPTH, head, tail)

    def _tail(self, node: Node) -> str:
        if self.comment is None or len(node.outputs) != 1:
            return ""
        return f"  # {self.comment(node.outputs[0])}"

    def _is_answer(self, node: Node) -> bool:
        """Whether the node is the last one and makes the only output."""
        outputs = list(self.graph.outputs.values())
        alone = len(outputs) == 1 and outputs == list(node.outputs) and not node.packed
        return alone and node is self.graph.nodes[-1]

    def _return(self) -> list[str]:
        outputs = self.graph.outputs
        if len(outputs) == 1:
            (value,) = outputs.values()
            maker = self.makers.get(value)
            if maker is not None and self._is_answer(maker):
                return []
            return render(Text(self.names[value]), DEPTH, "return ")
        items = [Text(f"{quote(name)}: {self.names[value]}") for name, value in outputs.items()]
        lines = render(Bracket("{", tuple(items), "}", literal=True), DEPTH, "return ")
        return [line if len(line) <= WIDTH else f"{line}  # noqa: E501" for line in lines]

    # Variables

    def _wish(self, value: Value, chain: list[Node]) -> str:
        last = chain[-1]
        again = any(last in (node.twin, node if node.twin else None) for node in self.graph.nodes)
        if last.inner and not again and value not in self.graph.outputs.values():
            return identifier(last.attribute, "x")
        return identifier(value.blob, short_kind(chain[0].kind))

    def _target(self, value: Value, chain: list[Node]) -> str:
        if not self.uses[value]:
            return "_"
        return self._assign(value, self._wish(value, chain))

    def _assign(self, value: Value, wish: str) -> str:
        """A name for the value that no value still in use has."""
        busy = {name for name, held in self.holders.items() if self.uses[held] > 0}
        names = Names(self.reserved)
        names.taken |= busy
        name = names.unique(wish)
        self.names[value] = name
        self.holders[name] = value
        return name


def _size(chain: list[Node]) -> tuple[int, ...]:
    """Height and width (or whatever axes) of what the chain makes."""
    return chain[-1].outputs[0].shape[2:]


def _is_block(chain: list[Node]) -> bool:
    return bool(chain[0].inner)
