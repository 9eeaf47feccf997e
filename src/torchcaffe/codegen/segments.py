"""Parts of a graph with one input and one output, and which of them are alike.

The smallest such parts are atoms: one node with one input, or a node where branches meet with
everything back to where they parted. Atoms follow each other in chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torchcaffe.codegen.graph import Graph, Node, Times, Value, Variable
from torchcaffe.layers._call import AllBottoms, Bottom, Call

LARGEST = 200
"""Branches that have not met after so many nodes are no part of a block."""

Key = tuple[Any, ...]


@dataclass(eq=False)
class Atom:
    """A smallest part: the nodes between ``entry`` and ``exit`` in an order that depends on the
    wiring only, and a key that is equal for atoms that differ in numbers only.

    Of two branches that are added, the shorter one, if it is a chain of modules, stands apart as
    the ``shortcut``: the key is that of an atom in which ``entry`` itself is added.
    """

    entry: Value
    exit: Value
    nodes: list[Node]
    key: Key
    shortcut: list[Node]
    shortcut_key: Key

    @property
    def all_nodes(self) -> list[Node]:
        """The nodes with those of the shortcut."""
        return [*self.nodes, *self.shortcut]


class Segments:
    """The atoms and chains of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.readers = graph.readers()
        self.makers = graph.makers()
        self.place = {node: index for index, node in enumerate(graph.nodes)}
        self.atoms: dict[Value, Atom] = {}
        for node in graph.nodes:
            atom = self._atom(node)
            if atom is not None:
                self.atoms[atom.exit] = atom

    def chains(self) -> list[list[Atom]]:
        """Every atom once, in sequences whose values nobody else reads."""
        by_entry: dict[Value, list[Atom]] = {}
        for atom in self.atoms.values():
            by_entry.setdefault(atom.entry, []).append(atom)
        follower = {value: self._follower(value, by_entry.get(value, [])) for value in self.atoms}
        continued = {found for found in follower.values() if found is not None}
        chains = []
        for atom in self.atoms.values():
            if atom in continued:
                continue
            chain = [atom]
            while (found := follower[chain[-1].exit]) is not None:
                chain.append(found)
            chains.append(chain)
        return chains

    def _follower(self, value: Value, candidates: list[Atom]) -> Atom | None:
        readers = set(self.readers[value])
        if None in readers or not readers:
            return None
        return next((atom for atom in candidates if readers <= set(atom.all_nodes)), None)

    def _atom(self, node: Node) -> Atom | None:
        if len(node.outputs) != 1 or not node.inputs:
            return None
        entry = self._entry(node)
        if entry is None:
            return None
        (exit_,) = node.outputs
        operand = self._shortcut_operand(node, entry)
        if operand is None:
            nodes, key = self._canonical(exit_, entry)
            return Atom(entry, exit_, nodes, key, [], ())
        shortcut, shortcut_key = self._canonical(operand, entry)
        nodes, key = self._canonical(exit_, entry, operand)
        return Atom(entry, exit_, nodes, key, shortcut, shortcut_key)

    def _entry(self, node: Node) -> Value | None:
        """The last value that everything on the way to the node comes from."""
        frontier, region = set(node.inputs), {node}
        while len(frontier) > 1:
            value = max(frontier, key=lambda value: self._made_at(value))
            maker = self.makers.get(value)
            if maker is None or not maker.inputs or len(region) > LARGEST:
                return None
            frontier.difference_update(maker.outputs)
            frontier.update(maker.inputs)
            region.add(maker)
        inside = {value for other in region - {node} for value in other.outputs}
        closed = all(reader in region for value in inside for reader in self.readers[value])
        return frontier.pop() if closed else None

    def _made_at(self, value: Value) -> int:
        maker = self.makers.get(value)
        return -1 if maker is None else self.place[maker]

    def _shortcut_operand(self, node: Node, entry: Value) -> Value | None:
        """Of two added branches from ``entry``, the end of the one that is a shorter chain."""
        if node.target != "operator.add" or len(node.inputs) != 2 or entry in node.inputs:
            return None
        branches = [self._canonical(value, entry)[0] for value in node.inputs]
        if set(branches[0]) & set(branches[1]) or len(branches[0]) == len(branches[1]):
            return None
        shorter = 0 if len(branches[0]) < len(branches[1]) else 1
        chain = all(part.module and len(part.inputs) == 1 for part in branches[shorter])
        return node.inputs[shorter] if chain else None

    def _canonical(
        self, exit_: Value, entry: Value, stand_in: Value | None = None
    ) -> tuple[list[Node], Key]:
        """The nodes up to ``exit_``, and the key; ``stand_in`` counts as ``entry``."""
        order: dict[Node, int] = {}
        key: list[Any] = []

        def visit(value: Value) -> Any:
            if value is entry or value is stand_in:
                return "x"
            node = self.makers[value]
            if node not in order:
                wiring = tuple(visit(part) for part in node.inputs)
                order[node] = len(order)
                key.append((node_key(node), wiring))
            return order[node], node.outputs.index(value)

        visit(exit_)
        return list(order), tuple(key)


def node_key(node: Node) -> Key:
    """What two nodes must have in common to be one node of a block."""
    target = node.target if isinstance(node.target, str) else node.target.name
    if node.inner and isinstance(node.target, str):
        return target, id(node)  # a stage is like no other
    if not node.module:
        return target, repr(node.args), repr(node.kwargs), node.packed
    if depthwise(node):
        target += " by channel"
    args = tuple(_form(value) for value in node.args)
    kwargs = tuple(
        (name, _form(value)) for name, value in sorted(node.kwargs.items()) if not plain(value)
    )
    return target, args, kwargs, node.packed


def depthwise(node: Node) -> bool:
    """Whether a node is a convolution that keeps the channels apart."""
    groups = node.kwargs.get("groups", 1)
    return str(node.target).startswith("torch.nn.Conv") and groups == node.args[0] != 1


def plain(value: Any) -> bool:
    """Whether a value may differ between blocks: a number, text, or a tuple of them."""
    if isinstance(value, tuple):
        return all(plain(item) for item in value)
    return not isinstance(value, (Call, Bottom, AllBottoms))


def _form(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_form(item) for item in value)
    if isinstance(value, (Variable, Times)) or plain(value):
        return "*"
    return repr(value)
