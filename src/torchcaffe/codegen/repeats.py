"""Finding what a graph repeats, and putting blocks in its place.

The search is greedy: of all sequences of atoms that stand in several places, the one whose class
saves the most lines becomes a block; then the search starts again, in the block's body too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torchcaffe.codegen.blocks import (
    Block,
    Made,
    Occurrence,
    construction,
    is_tower,
    make_block,
    sequential,
)
from torchcaffe.codegen.graph import Graph, Instance, Node, Repeat, Variable
from torchcaffe.codegen.labels import Labels, find_labels, stage
from torchcaffe.codegen.names import Names, snake
from torchcaffe.codegen.segments import Key, Segments

LONGEST = 48
"""Atoms in a sequence."""

LEAST = 6
"""Lines that a block must save."""

TRIALS = 24
"""How many sequences are worked out; the others promise less."""

PATIENCE = 8
"""Occurrences whose names agree with those of no other, before names are held to say nothing."""

CLASS = 10
"""Lines of a class beside its modules and statements."""


@dataclass
class Candidate:
    """Occurrences of one sequence of atoms in one graph, and how many lines a block may save."""

    graph: Graph
    occurrences: list[Occurrence]
    labels: Labels | None
    saves: float
    weight: float


def find_blocks(graph: Graph, names: Names) -> list[Block]:
    """Replace what repeats in the graph by instances of blocks, which are returned in the order
    in which their classes are best printed."""
    blocks: list[Block] = []
    while (best := _best([graph, *(block.graph for block in blocks)], names)) is not None:
        candidate, made = best
        names.taken.add(made.block.name)
        blocks.append(made.block)
        _collapse(candidate, made)
    _join_runs(graph)
    return _dependencies_first(blocks)


def _dependencies_first(blocks: Sequence[Block]) -> list[Block]:
    result: list[Block] = []

    def visit(block: Block) -> None:
        for node in block.graph.nodes:
            for part in (node, *node.inner):
                if part is not None and isinstance(part.target, Block):
                    visit(part.target)
        if block not in result:
            result.append(block)

    for block in blocks:
        visit(block)
    return result


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
    """Everything that stands in the graph more than once, and may be worth a class."""
    segments = Segments(graph)
    found = []
    for places in _repeated(segments):
        size = _lines(places[0].nodes)
        if (len(places) - 1) * size <= CLASS:
            continue
        for occurrences, labels in _clusters(places):
            saves = (len(occurrences) - 1) * size - CLASS - len(occurrences)
            weight = 1.0 if labels else _unlabelled(occurrences[0], segments)
            if is_tower(occurrences):
                saves += 2 * CLASS
            if len(occurrences) > 1 and saves > 0:
                found.append(Candidate(graph, occurrences, labels, weight * saves, weight))
    return found


def _unlabelled(occurrence: Occurrence, segments: Segments) -> float:
    """How much less a block is worth whose layers' names do not say that it is one: least where
    it begins amid what belongs together."""
    first = min(occurrence.all_nodes, key=lambda node: segments.place[node])
    return 0.5 if first.kind in ("Convolution", "InnerProduct") else 0.4


def _repeated(segments: Segments) -> list[list[Occurrence]]:
    """The occurrences, overlapping or not, of each sequence of keys that occurs twice."""
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
            occurrences = [Occurrence(chains[c][i : i + length]) for c, i in places]
            nodes = occurrences[0].nodes
            if len(nodes) > 1 and not _has_row(occurrences[0]):
                result.append(occurrences)
    return result


def _has_row(occurrence: Occurrence) -> bool:
    """Whether instances of one block follow each other: that is a run of them, not a block."""
    pairs = itertools.pairwise(occurrence.atoms)
    return any(
        len(first.nodes) == len(second.nodes) == 1
        and first.nodes[0].inner
        and first.nodes[0].target is second.nodes[0].target
        for first, second in pairs
    )


def _apart(places: Sequence[Occurrence]) -> list[Occurrence]:
    """Those that do not overlap one before them."""
    kept: list[Occurrence] = []
    seen: set[Node] = set()
    for occurrence in places:
        if seen.isdisjoint(occurrence.all_nodes):
            kept.append(occurrence)
            seen.update(occurrence.all_nodes)
    return kept


def _clusters(places: Sequence[Occurrence]) -> list[tuple[list[Occurrence], Labels | None]]:
    """Occurrences whose names agree, cluster by cluster, and all of them whatever their names."""
    usable = _with_one_shortcut(places)
    clusters: list[tuple[list[Occurrence], Labels | None]] = []
    rest, failures = usable, 0
    while len(rest) > 1 and failures < PATIENCE:
        first, *others = rest
        cluster = _apart([first, *(other for other in others if _go_together(first, other))])
        labels = _labels(cluster) if len(cluster) > 1 else None
        if labels:
            clusters.append((cluster, labels))
        else:
            failures += 1
        rest = [other for other in others if other not in cluster]
    everything = _apart(usable)
    if len(everything) > max([1, *(len(cluster) for cluster, _ in clusters)]):
        clusters.append((everything, None))
    return clusters


def _go_together(first: Occurrence, other: Occurrence) -> bool:
    """Whether one label runs through both; the ends alone refute most pairs."""
    ends = [[o.nodes[0].layer, o.nodes[-1].layer] for o in (first, other)]
    return bool(find_labels(ends) and _labels([first, other]))


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


# What a block saves


def _lines(nodes: Sequence[Node]) -> int:
    """Lines in ``__init__`` and ``forward``."""
    modules = sum(node.module and node.twin is None for node in nodes)
    return modules + len({value.blob for node in nodes for value in node.outputs})


def _saved(candidate: Candidate, made: Made) -> float:
    flat = sum(_lines(o.all_nodes) for o in candidate.occurrences)
    body = CLASS + _lines(made.block.slots) + 3 * any(n.only_if for n in made.block.graph.nodes)
    body += max(0, len(made.block.parameters) - 4)
    if is_tower(candidate.occurrences):
        return flat - body - 1 - len(candidate.occurrences) + 2 * CLASS
    instances = 0
    for run in _runs(_members(candidate, made)):
        entries = _entries(run)
        instances += 1 + (len(entries) if len(entries) < 3 else len(entries) + 2)
    return candidate.weight * (flat - body - instances)


# Putting instances in


def _members(candidate: Candidate, made: Made) -> list[Node]:
    """The instance for each occurrence."""
    shared = is_tower(candidate.occurrences)
    members: list[Node] = []
    for index, occurrence in enumerate(candidate.occurrences):
        name, label = snake(made.block.name), ""
        if candidate.labels is None:
            name += str(index + 1)
        elif not shared:
            label = candidate.labels.blocks[index]
            between = "_" if label[:1].isalpha() else ""
            name = label if re.search("[A-Za-z]{2}", label) else f"block{between}{label}"
        node = _instance(made, index, name, occurrence)
        node.label = label
        node.twin = members[0] if shared and members else None
        members.append(node)
    return members


def _instance(made: Made, index: int, name: str, occurrence: Occurrence) -> Node:
    args, kwargs = made.arguments[index]
    return Node(
        layer=name,
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
    )


def _collapse(candidate: Candidate, made: Made) -> None:
    """Put instances in the place of the occurrences."""
    graph = candidate.graph
    members = _members(candidate, made)
    by_exit = {node.outputs[0]: node for node in members}
    gone = {node for o in candidate.occurrences for node in o.all_nodes}
    nodes = []
    for node in graph.nodes:
        if len(node.outputs) == 1 and node.outputs[0] in by_exit:
            nodes.append(by_exit[node.outputs[0]])
        elif node not in gone:
            nodes.append(node)
    graph.nodes = nodes


# Runs of instances


def _join_runs(graph: Graph) -> None:
    """Instances that follow each other as one ``nn.Sequential``, where they are much the same."""
    readers = graph.readers()
    count = itertools.count(1)
    for run in _runs([node for node in graph.nodes if isinstance(node.target, Block)]):
        pairs = itertools.pairwise(run)
        if len(run) < 2 or any(readers[node.outputs[0]] != [after] for node, after in pairs):
            continue
        key = stage(run[0].label)
        name = key if re.search("[A-Za-z]", key) else f"stage{key or next(count)}"
        graph.nodes[graph.nodes.index(run[-1])] = sequential(name, run, _entries(run))
        graph.nodes = [node for node in graph.nodes if node not in run]


def _runs(members: Sequence[Node]) -> list[list[Node]]:
    """Members in runs; one that goes with none before it starts another."""
    runs: list[list[Node]] = []
    for member in members:
        if runs and _joins(member, runs[-1]):
            runs[-1].append(member)
        else:
            runs.append([member])
    return runs


def _joins(node: Node, run: Sequence[Node]) -> bool:
    """Whether a node stands behind a run, in the same stage, and is made like its last one."""
    last = run[-1]
    if node.twin or last.twin or node.target is not last.target or node.inputs != last.outputs:
        return False
    if node.label and (not stage(node.label) or stage(node.label) != stage(last.label)):
        return False
    if not node.label and node.inputs[0].shape != node.outputs[0].shape:
        return False
    if (node.args, node.kwargs) == (last.args, last.kwargs):
        return True
    if len(run) == 1 and _only_entry_differs(node, last):
        return True
    return _step([*run, node]) is not None


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


def _step(nodes: Sequence[Node]) -> int | None:
    """By how much the one argument that differs grows, if it does so steadily."""
    if any(node.kwargs != nodes[0].kwargs for node in nodes):
        return None
    columns = list(zip(*(node.args for node in nodes), strict=True))
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
    step = _step(nodes) if len(nodes) > 2 else None
    if not step:
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
