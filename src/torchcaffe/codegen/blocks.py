"""A block: the class that stands for parts of a graph that are alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os.path import commonprefix
from typing import Any

from torchcaffe.codegen.graph import Graph, Instance, Node, Times, Value, Variable
from torchcaffe.codegen.labels import Labels
from torchcaffe.codegen.names import Names, class_name, identifier, short_kind, tokens
from torchcaffe.codegen.parameters import (
    MISSING,
    OUTPUTS,
    Found,
    Parameter,
    Parameters,
    annotation,
    common_default,
    signature,
)
from torchcaffe.codegen.segments import Atom, depthwise
from torchcaffe.layers._call import Call


@dataclass(eq=False)
class Occurrence:
    """One place where the parts stand: consecutive atoms of a chain."""

    atoms: list[Atom]

    def __post_init__(self) -> None:
        self.entry, self.exit = self.atoms[0].entry, self.atoms[-1].exit
        self.nodes = [node for atom in self.atoms for node in atom.nodes]
        self.shortcut = [node for atom in self.atoms for node in atom.shortcut]
        self.shortcut_key = tuple(atom.shortcut_key for atom in self.atoms)

    @property
    def all_nodes(self) -> list[Node]:
        """With the nodes of the shortcut."""
        return [*self.nodes, *self.shortcut]


@dataclass(eq=False)
class Block:
    """A class to print.

    ``slots`` are the nodes of its body as it was made, in the order in which instances list what
    they stand for. ``count`` and ``labels`` say how often and where it stands, ``ends`` what the
    first occurrence takes and gives; in ``uniform`` ones every shape is the same everywhere. A
    ``shared`` one has one instance, which is applied several times.
    """

    name: str
    parameters: list[Parameter]
    graph: Graph
    slots: list[Node]
    count: int
    uniform: bool
    shared: bool
    labels: list[str]
    ends: tuple[Value, Value]


@dataclass(eq=False)
class Made:
    """A block with what each occurrence gives it."""

    block: Block
    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]]
    inner: list[tuple[Node | None, ...]]


def make_block(
    occurrences: Sequence[Occurrence], labels: Labels | None, names: Names, place: dict[Node, int]
) -> Made:
    """The block of occurrences whose atoms have equal keys.

    Their shortcuts are equal too, or some occurrences have none. ``place`` gives the order of
    nodes, ``names`` the class its name.
    """
    return _Maker(occurrences, labels, names, place).make()


class _Maker:
    def __init__(
        self,
        occurrences: Sequence[Occurrence],
        labels: Labels | None,
        names: Names,
        place: dict[Node, int],
    ) -> None:
        self.occurrences, self.labels, self.names = occurrences, labels, names
        index = next((i for i, o in enumerate(occurrences) if o.shortcut), 0)
        self.base = occurrences[index]
        self.label = labels.blocks[index] if labels else ""
        self.option: Variable | None = None
        if self.base.shortcut and not all(o.shortcut for o in occurrences):
            self.option = Variable("projection")
        nodes, required = self.base.all_nodes, len(self.base.nodes)
        order = sorted(range(len(nodes)), key=lambda i: place[nodes[i]])
        self.slots = [nodes[i] for i in order]
        self.optional = [bool(self.option) and i >= required for i in order]
        self.parts = [self._part(i, nodes[i]) for i in order]
        if labels is None:
            self.parts = numbered(self.parts, self.optional)
        self.columns: list[list[Node | None]] = [
            [o.all_nodes[i] if i < required or o.shortcut else None for o in occurrences]
            for i in order
        ]

    def _part(self, index: int, node: Node) -> str:
        """What a node is called inside the block."""
        if self.labels is None:
            return short_kind(node.kind)
        if index < len(self.labels.parts):
            return self.labels.parts[index] or short_kind(node.kind)
        return without_label(node.layer, self.label) or short_kind(node.kind)

    def make(self) -> Made:
        """Parameters first, then the body that uses them."""
        found = self._find()
        self._name_sizes(found)
        parameters = self._parameters(found)
        copies = self._copies(found)
        graph = Graph([self.x], self._body(copies), {"": self.values[self.base.exit]})
        count = len(self.occurrences)
        block = Block(
            name=self.names.unique(block_name(self.base, self.occurrences, self.labels), joint=""),
            parameters=parameters,
            graph=graph,
            slots=copies,
            count=count,
            uniform=self._uniform(),
            shared=is_tower(self.occurrences),
            labels=self.labels.blocks if self.labels else [],
            ends=(self.occurrences[0].entry, self.occurrences[0].exit),
        )
        inner = [tuple(column[j] for column in self.columns) for j in range(count)]
        return Made(block, [self._arguments(found, parameters, j) for j in range(count)], inner)

    def _uniform(self) -> bool:
        return all(
            len({tuple(value.shape for value in node.outputs) for node in column if node}) == 1
            for column in self.columns
        )

    # Parameters

    def _find(self) -> list[Found]:
        parameters = Parameters()
        for optional, add in ((False, parameters.add), (True, parameters.fit)):
            for place, column in enumerate(self.columns):
                if self.optional[place] == optional:
                    add(place, column)
        return parameters.found

    def _name_sizes(self, found: Sequence[Found]) -> None:
        """Channel numbers are named after what they count, the others after their argument."""
        names = Names(["self"])
        sizes = [one for one in found if one.size]
        for name, ends in (
            ("channels", [o.entry.shape for o in self.occurrences]),
            ("filters", [o.exit.shape for o in self.occurrences]),
        ):
            for one in sizes:
                if one.expression is None and one.values == [shape[1:2][0] for shape in ends]:
                    one.expression = Variable(names.unique(name))
        rest = [one for one in sizes if one.expression is None]
        for one in rest:
            wish = "width" if len(rest) == 1 else self._shared_part(one.used_as(OUTPUTS))
            one.expression = Variable(names.unique(wish))
        for one in sizes:
            one.expression = self._multiple(one, sizes) or one.expression
        for one in found:
            if not one.size:
                same = [other for other in found if other.kind == one.kind and not other.size]
                part = identifier(self.parts[one.uses[0][0]])
                wish = one.kind if len(same) == 1 else f"{part}_{one.kind}"
                one.expression = Variable(names.unique(wish))

    def _shared_part(self, places: Sequence[int]) -> str:
        parts = [tokens(self.parts[place]) for place in places] or [["width"]]
        shared = "".join(commonprefix(parts)).strip("_-/. ")
        return identifier(shared or self.parts[places[0]], "width")

    def _multiple(self, one: Found, sizes: Sequence[Found]) -> Times | None:
        """``one`` as a whole multiple of another number, if it is so often enough to be meant."""
        for other in sizes:
            if one is other or not isinstance(other.expression, Variable):
                continue
            ratios = {
                mine // theirs if theirs and mine % theirs == 0 else 0
                for mine, theirs in zip(one.values, other.values, strict=True)
            }
            factor = ratios.pop()
            if not ratios and factor > 1 and len(set(one.values)) > 2:
                return Times(factor, other.expression)
        return None

    def _parameters(self, found: Sequence[Found]) -> list[Parameter]:
        result = []
        for one in found:
            if isinstance(one.expression, Variable):
                default = MISSING if one.size else common_default(one.values)
                name = one.expression.name
                result.append(Parameter(name, annotation(one.values), one.size, default))
        if self.option:
            result.append(Parameter(self.option.name, "bool", False, False))
        return sorted(result, key=lambda p: (p.default is not MISSING, not p.size))

    def _arguments(
        self, found: Sequence[Found], parameters: Sequence[Parameter], occurrence: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What one occurrence gives the class."""
        values = {str(one.expression): one.values[occurrence] for one in found}
        if self.option:
            values[self.option.name] = bool(self.occurrences[occurrence].shortcut)
        args = tuple(values[p.name] for p in parameters if p.size)
        kwargs = {
            p.name: values[p.name]
            for p in parameters
            if not p.size and values[p.name] is not MISSING and values[p.name] != p.default
        }
        return args, kwargs

    # The body

    def _copies(self, found: Sequence[Found]) -> list[Node]:
        """The nodes with parameters in the place of what differs."""
        base = self.base
        self.x = Value("x", base.entry.shape)
        self.values = {base.entry: self.x}
        writers: dict[str, list[str]] = {}
        for slot, part in zip(self.slots, self.parts, strict=True):
            for value in slot.outputs:
                writers.setdefault(value.blob, []).append(part)
        names = Names(["x"])
        blobs = {base.entry.blob: "x"}
        for slot in self.slots:
            for value in slot.outputs:
                if value.blob not in blobs:
                    parts = writers[value.blob]
                    blobs[value.blob] = names.unique(shared_ending(parts) or parts[0])
                self.values[value] = Value(blobs[value.blob], value.shape)
        uses: list[dict[Any, Any]] = [{} for _ in self.slots]
        for one in found:
            for place, path, _ in one.uses:
                uses[place][path] = one.expression
        return [
            self._copy(slot, part, used)
            for slot, part, used in zip(self.slots, self.parts, uses, strict=True)
        ]

    def _copy(self, slot: Node, part: str, used: dict[Any, Any]) -> Node:
        args = tuple(
            tuple(used.get((i, j), item) for j, item in enumerate(value))
            if isinstance(value, tuple)
            else used.get((i,), value)
            for i, value in enumerate(slot.args)
        )
        kwargs = dict(slot.kwargs)
        if slot.module:
            kwargs.update({path[0]: v for path, v in used.items() if isinstance(path[0], str)})
            order = list(signature(slot))
            kwargs = dict(sorted(kwargs.items(), key=lambda item: order.index(item[0])))
        return replace(
            slot,
            layer=part,
            args=args,
            kwargs=kwargs,
            inputs=tuple(self.values[value] for value in slot.inputs),
            outputs=tuple(self.values[value] for value in slot.outputs),
            twin=None,
        )

    def _body(self, copies: list[Node]) -> list[Node]:
        """The copies, those of an optional shortcut joined into one node."""
        chain = [copy for copy, optional in zip(copies, self.optional, strict=True) if optional]
        if not chain:
            return list(copies)
        joined = chain[0]
        if len(chain) > 1:
            name = shared_ending([copy.layer for copy in chain])
            joined = sequential(name or "shortcut", chain)
        joined.only_if = self.option
        nodes = [copy for copy in copies if copy not in chain]
        nodes.insert(copies.index(chain[0]), joined)
        return nodes


def is_tower(occurrences: Sequence[Occurrence]) -> bool:
    """Whether every occurrence uses the parameters of the first."""
    first, *others = occurrences
    learning = [i for i, node in enumerate(first.all_nodes) if node.learns]
    return len(learning) > 1 and all(
        len(other.all_nodes) == len(first.all_nodes)
        and all(other.all_nodes[i].twin is first.all_nodes[i] for i in learning)
        for other in others
    )


def sequential(name: str, chain: Sequence[Node], args: Sequence[Any] = ()) -> Node:
    """A chain of modules as one ``nn.Sequential``."""
    return Node(
        layer=name,
        kind="Sequential",
        target="torch.nn.Sequential",
        args=tuple(args) or tuple(construction(node) for node in chain),
        kwargs={},
        inputs=chain[0].inputs,
        outputs=chain[-1].outputs,
        module=True,
        learns=any(node.learns for node in chain),
        random=any(node.random for node in chain),
        inner=tuple(chain),
    )


def construction(node: Node) -> Call | Instance:
    """What constructs a node's module, as an argument of another call."""
    if isinstance(node.target, str):
        return Call(node.target, *node.args, **node.kwargs)
    return Instance(node.target.name, node.args, node.kwargs)


def numbered(words: Sequence[str], apart: Sequence[bool]) -> list[str]:
    """Words that occur several times with a number behind them, those set apart left alone."""
    counts = Counter(word for word, skip in zip(words, apart, strict=True) if not skip)
    seen: Counter[str] = Counter()
    result = []
    for word, skip in zip(words, apart, strict=True):
        seen[word] += not skip
        result.append(f"{word}{seen[word]}" if counts[word] > 1 and not skip else word)
    return result


def shared_ending(names: Sequence[str]) -> str:
    """What all the names end in, if that says something."""
    shared = commonprefix([tokens(name)[::-1] for name in names])[::-1]
    ending = "".join(shared).strip("_-/. ")
    return ending if re.search("[A-Za-z]", ending) and len(ending) > 1 else ""


def without_label(name: str, label: str) -> str:
    """A layer's name inside its block."""
    if not label or label not in name:
        return name
    head, _, tail = name.partition(label)
    head, tail = head.rstrip("_-/. "), tail.lstrip("_-/. ")
    return f"{head}_{tail}" if head and tail else head or tail


_PLAIN_WORDS = {"block", "conv", "group", "layer", "module", "relu", "res", "stage", "unit"}


def block_name(base: Occurrence, occurrences: Sequence[Occurrence], labels: Labels | None) -> str:
    """A name by what the block is, or by what its labels call it."""
    convolutions = [n for n in base.nodes if str(n.target).startswith("torch.nn.Conv")]
    kernels = [dict(n.kwargs).get("kernel_size") for n in convolutions]
    adds = [n for n in base.nodes if n.target == "operator.add"]
    if any(o.shortcut or o.entry in n.inputs for n in adds for o in occurrences):
        if len(kernels) == 3 and kernels[0] == kernels[2] == 1:
            return "Bottleneck"
        return "BasicBlock" if len(kernels) == 2 else "ResidualBlock"
    words = tokens(commonprefix(labels.blocks)) if labels else []
    named = [word for word in words if word.isalpha()]
    if named and len(named[0]) > 2 and not _PLAIN_WORDS.intersection(named):
        return class_name(" ".join(named))
    if is_tower(occurrences):
        return "Tower"
    last = base.nodes[-1]
    if last.target == "torch.cat" and base.entry in last.inputs:
        return "DenseLayer"
    if any(map(depthwise, convolutions)) and kernels[-1] == 1:
        return "InvertedBottleneck" if len(kernels) == 3 else "DepthwiseSeparable"
    kinds = [_KINDS.get(node.kind, "") for node in base.nodes]
    if all(node.module for node in base.nodes) and len(set(kinds)) == len(kinds) <= 4:
        return "".join(kinds).replace("BNScale", "BN")
    return "Block"


_KINDS = {
    "BatchNorm": "BN",
    "Convolution": "Conv",
    "InnerProduct": "Linear",
    "Pooling": "Pool",
    "ReLU": "ReLU",
    "Scale": "Scale",
}
