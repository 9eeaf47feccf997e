"""Finding what a graph repeats, and putting blocks in its place.

The search is greedy: of all sequences of atoms that stand in several places, the one whose class
saves the most lines becomes a block; then the search starts again, in the block's body too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torchcaffe.codegen.blocks import (
    Block,
    Made,
    Occurrence,
    construction,
    make_block,
    sequential,
)
from torchcaffe.codegen.graph import Graph, Instance, Node, Repeat, Value, Variable
from torchcaffe.codegen.labels import Labels, find_labels, stage
from torchcaffe.codegen.names import Names, snake
from torchcaffe.codegen.segments import Key, Segments

LONGEST = 48
"""Atoms in a sequence."""

LEAST = 8
"""Lines that a block must save."""

TRIALS = 24
"""How many sequences are worked out; the others promise less."""

CLASS = 10
"""Lines of a class beside its modules and statements."""


@dataclass
class Candidate:
    """Occurrences of one sequence of atoms in one graph, and how many lines a block may save."""

    graph: Graph
    occurrences: list[Occurrence]
    labels: Labels | None
    saves: float


def find_blocks(graph: Graph, names: Names) -> list[Block]:
    """Replace what repeats in the graph by instances of blocks, which are returned in the order
    in which their classes must be printed."""
    blocks: list[Block] = []
    labels: dict[Node, str] = {}
    while True:
        best = _best([graph, *(block.graph for block in blocks)], names)
        if best is None:
            break
        candidate, made = best
        names.taken.add(made.block.name)
        blocks.insert(0, made.block)
        labels.update(_collapse(candidate, made))
    for body in (graph, *(block.graph for block in blocks)):
        _join_runs(body, labels)
    return blocks


def _best(graphs: Sequence[Graph], names: Names) -> tuple[Candidate, Made] | None:
    candidates = [found for graph in graphs for found in _candidates(graph)]
    candidates.sort(key=lambda candidate: -candidate.saves)
    best: tuple[float, Candidate, Made] | None = None
    for candidate in candidates[:TRIALS]:
        place = {node: index for index, node in enumerate(candidate.graph.nodes)}
        trial = Names(names.reserved)
        trial.taken |= names.taken
        made = make_block(candidate.occurrences, candidate.labels, trial, place)
        saves = _saved(candidate, made)
        if saves >= LEAST and (best is None or saves > best[0]):
            best = saves, candidate, made
    return best[1:] if best else None


def _candidates(graph: Graph) -> list[Candidate]:
    """Everything that stands in the graph more than once."""
    segments = Segments(graph)
    found = []
    for places in _repeated(segments):
        for occurrences, labels in _clusters(places):
            size = _lines(occurrences[0].nodes)
            saves = (len(occurrences) - 1) * size - CLASS - 2 * len(occurrences)
            if _towers(occurrences):
                saves += 2 * CLASS
            if len(occurrences) > 1 and saves > 0:
                found.append(
                    Candidate(graph, occurrences, labels, saves if labels else 0.75 * saves)
                )
    return found


def _repeated(segments: Segments) -> list[list[Occurrence]]:
    """The occurrences of each sequence of keys that occurs twice without overlapping itself."""
    chains = segments.chains()
    numbers: dict[Key, int] = {}
    keys = [[numbers.setdefault(atom.key, len(numbers)) for atom in chain] for chain in chains]
    starts = [(c, i) for c, chain in enumerate(chains) for i in range(len(chain))]
    result = []
    for length in range(1, LONGEST + 1):
        groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for c, i in starts:
            if i + length <= len(keys[c]):
                groups.setdefault(tuple(keys[c][i : i + length]), []).append((c, i))
        groups = {key: places for key, places in groups.items() if len(places) > 1}
        starts = sorted(place for places in groups.values() for place in places)
        for places in groups.values():
            apart = _apart(places, length)
            occurrences = [Occurrence(chains[c][i : i + length]) for c, i in apart]
            if len(occurrences) > 1 and len(occurrences[0].nodes) > 1:
                result.append(occurrences)
    return result


def _apart(places: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for c, i in places:
        if not kept or kept[-1][0] != c or kept[-1][1] + length <= i:
            kept.append((c, i))
    return kept


def _clusters(places: Sequence[Occurrence]) -> list[tuple[list[Occurrence], Labels | None]]:
    """Occurrences whose names agree, cluster by cluster, and all of them whatever their names."""
    usable = _with_one_shortcut(places)
    clusters: list[tuple[list[Occurrence], Labels | None]] = []
    rest = usable
    while len(rest) > 1:
        first, *others = rest
        cluster = [first, *(other for other in others if _labels([first, other]))]
        labels = _labels(cluster)
        if labels and len(cluster) > 1:
            clusters.append((cluster, labels))
        rest = [other for other in others if other not in cluster]
    if len(usable) > 1 and not any(len(cluster) == len(usable) for cluster, _ in clusters):
        clusters.append((usable, None))
    return clusters


def _labels(occurrences: Sequence[Occurrence]) -> Labels | None:
    return find_labels([[node.layer for node in o.nodes] for o in occurrences])


def _with_one_shortcut(places: Sequence[Occurrence]) -> list[Occurrence]:
    """Those with the commonest kind of shortcut, and those without one."""
    keys = [o.shortcut_key for o in places if o.shortcut]
    if not keys:
        return list(places)
    common = max(keys, key=keys.count)
    if sum(1 for key in common if key) > 1 and len(keys) < len(places):
        return []
    return [o for o in places if o.shortcut_key == common or not o.shortcut]


def _towers(occurrences: Sequence[Occurrence]) -> bool:
    """Whether every occurrence uses the parameters of the first."""
    first, *others = occurrences
    learning = [i for i, node in enumerate(first.all_nodes) if node.learns]
    return len(learning) > 1 and all(
        len(other.all_nodes) == len(first.all_nodes)
        and all(other.all_nodes[i].twin is first.all_nodes[i] for i in learning)
        for other in others
    )


# What a block saves


def _lines(nodes: Sequence[Node]) -> int:
    """Lines in ``__init__`` and ``forward``."""
    modules = sum(node.module and node.twin is None for node in nodes)
    return modules + len({value.blob for node in nodes for value in node.outputs})


def _saved(candidate: Candidate, made: Made) -> float:
    flat = sum(_lines(o.all_nodes) for o in candidate.occurrences)
    body = CLASS + _lines(made.block.slots) + 3 * any(n.only_if for n in made.block.graph.nodes)
    body += max(0, len(made.block.parameters) - 4)
    if _towers(candidate.occurrences):
        return flat - body - 1 - len(candidate.occurrences) + 2 * CLASS
    instances = 0
    labels = candidate.labels.blocks if candidate.labels else [""] * len(candidate.occurrences)
    members = [
        _member(made, index, labels[index], o) for index, o in enumerate(candidate.occurrences)
    ]
    for run in _runs(members):
        entries = _entries([node for node, _ in run]) if len(run) > 1 else [run]
        instances += 1 + (1 if len(entries) == 1 else len(entries) + 2)
    saves = flat - body - instances
    return saves if candidate.labels else 0.75 * saves


# Putting instances in


Member = tuple[Node, str]


def _member(made: Made, index: int, label: str, occurrence: Occurrence) -> Member:
    args, kwargs = made.arguments[index]
    name = label if any(map(str.isalpha, label)) and len(label) > 2 else ""
    return (
        Node(
            layer=name or f"{snake(made.block.name)}{label}",
            kind=made.block.name,
            target=made.block,
            args=args,
            kwargs=kwargs,
            inputs=(occurrence.entry,),
            outputs=(occurrence.exit,),
            module=True,
            learns=any(node.learns for node in occurrence.nodes),
            random=any(node.random for node in occurrence.nodes),
            inner=made.inner[index],
        ),
        label,
    )


def _collapse(candidate: Candidate, made: Made) -> dict[Node, str]:
    """Put instances in the place of the occurrences; their labels."""
    graph = candidate.graph
    labels = candidate.labels.blocks if candidate.labels else [""] * len(candidate.occurrences)
    members = [
        _member(made, index, labels[index], o) for index, o in enumerate(candidate.occurrences)
    ]
    if _towers(candidate.occurrences):
        for node, _ in members[1:]:
            node.twin = members[0][0]
    by_exit = {o.exit: node for o, (node, _) in zip(candidate.occurrences, members, strict=True)}
    gone = {node for o in candidate.occurrences for node in o.all_nodes}
    nodes = []
    for node in graph.nodes:
        if len(node.outputs) == 1 and node.outputs[0] in by_exit:
            nodes.append(by_exit[node.outputs[0]])
        elif node not in gone:
            nodes.append(node)
    graph.nodes = nodes
    return dict(members)


# Runs of instances


def _join_runs(graph: Graph, labels: dict[Node, str]) -> None:
    """Instances that follow each other as one ``nn.Sequential``, where they are much the same."""
    readers = graph.readers()
    members = [(node, labels[node]) for node in graph.nodes if node in labels]
    count = itertools.count(1)
    for run in _runs(members):
        nodes = [node for node, _ in run]
        if len(run) < 2 or any(
            readers[node.outputs[0]] != [after] for node, after in _pairs(nodes)
        ):
            continue
        key = stage(run[0][1])
        name = key if any(map(str.isalpha, key)) else f"stage{key or next(count)}"
        joined = sequential(name, nodes, _entries(nodes))
        graph.nodes[graph.nodes.index(nodes[-1])] = joined
        graph.nodes = [node for node in graph.nodes if node not in nodes]


def _pairs(nodes: Sequence[Node]) -> list[tuple[Node, Node]]:
    return list(itertools.pairwise(nodes))


def _runs(members: Sequence[Member]) -> list[list[Member]]:
    """Members in runs; one that goes with none before it starts another."""
    runs: list[list[Member]] = []
    for member in members:
        if runs and _joins(member, runs[-1]):
            runs[-1].append(member)
        else:
            runs.append([member])
    return runs


def _joins(member: Member, run: Sequence[Member]) -> bool:
    """Whether a member stands behind a run, in the same stage, and is made like its last one."""
    (node, label), (last, before) = member, run[-1]
    if node.twin or last.twin or node.target is not last.target or node.inputs != last.outputs:
        return False
    same = (node.args, node.kwargs) == (last.args, last.kwargs)
    if label and stage(label) != stage(before):
        return False
    if not stage(label):
        same_size = _ends(node)[0].shape == _ends(node)[1].shape
        return same or (len(run) == 1 and same_size and _only_entry_differs(node, last))
    return (
        same
        or (len(run) == 1 and _only_entry_differs(node, last))
        or _step(run[-1][0], node, run) is not None
    )


def _ends(node: Node) -> tuple[Value, Value]:
    return node.inputs[0], node.outputs[0]


def _only_entry_differs(node: Node, first: Node) -> bool:
    """Whether two instances differ only in the channels that come in, a stride or a projection."""
    sizes = [p.name for p in node.target.parameters if p.size]
    mine, theirs = (
        dict(zip(sizes, node.args, strict=True)),
        dict(zip(sizes, first.args, strict=True)),
    )
    mine, theirs = mine | node.kwargs, theirs | first.kwargs
    differing = {name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}
    return differing <= {"channels", "stride", "projection"}


def _step(last: Node, node: Node, run: Sequence[Member]) -> int | None:
    """By how much the one argument that differs grows, if it does so steadily."""
    nodes = [*(member for member, _ in run), node]
    if len(last.args) == 0 or last.kwargs != node.kwargs:
        return None
    columns = list(zip(*(member.args for member in nodes), strict=True))
    varying = [column for column in columns if len(set(map(repr, column))) > 1]
    if len(varying) != 1 or not all(type(value) is int for value in varying[0]):
        return None
    steps = {after - before for before, after in itertools.pairwise(varying[0])}
    return steps.pop() if len(steps) == 1 else None


def _entries(nodes: Sequence[Node]) -> list[Any]:
    """The arguments of the Sequential: instances, equal ones and steady ones as a loop."""
    result: list[Any] = []
    start = 0
    while start < len(nodes):
        end = start + 1
        while end < len(nodes) and (nodes[end].args, nodes[end].kwargs) == (
            nodes[start].args,
            nodes[start].kwargs,
        ):
            end += 1
        first = construction(nodes[start])
        assert isinstance(first, Instance)
        if end - start > 1:
            result.append(Repeat(first, "_", f"range({end - start})"))
        elif (loop := _steady(nodes[start:])) is not None:
            result.append(loop)
            end = len(nodes)
        else:
            result.append(first)
        start = end
    return result


def _steady(nodes: Sequence[Node]) -> Repeat | None:
    """A loop over the one argument that grows steadily from the first to the last of the nodes."""
    if len(nodes) < 3:
        return None
    step = _step(nodes[-2], nodes[-1], [(node, "") for node in nodes[:-1]])
    if not step or any(node.kwargs != nodes[0].kwargs for node in nodes):
        return None
    place = next(i for i, value in enumerate(nodes[0].args) if value != nodes[1].args[i])
    sizes = [p.name for p in nodes[0].target.parameters if p.size]
    first, last = nodes[0].args[place], nodes[-1].args[place]
    args = tuple(
        Variable(sizes[i]) if i == place else value for i, value in enumerate(nodes[0].args)
    )
    return Repeat(
        Instance(nodes[0].target.name, args, nodes[0].kwargs),
        sizes[place],
        f"range({first}, {last + step}, {step})",
    )
