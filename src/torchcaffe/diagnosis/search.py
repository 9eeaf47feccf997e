"""Try what may explain a segment, alone and together, until the difference is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from torchcaffe.diagnosis.findings import Cause, Gap
from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, all_hypotheses
from torchcaffe.diagnosis.hypotheses._tools import fitted
from torchcaffe.diagnosis.layouts import error
from torchcaffe.diagnosis.segments import FAR, Segment

DEPTH = 3
"""The most mistakes that one segment is thought to have."""

WIDTH = (10, 6)
"""How many of the best changes are gone on with, after one and after two."""

MOST = 6000
"""After so many trials no more mistakes are added to those that were tried."""

POINTS = 160
"""So many elements of an output are kept to be drawn."""

NEAR = 1e-2
"""What is farther off than this is not held to its class at all."""


@dataclass
class Explanation:
    """Changes that make a segment agree, or none; ``tried`` counts all that were tried."""

    steps: tuple[tuple[str, Proposal], ...]
    after: Gap | None
    tried: int
    state: State | None = None


@dataclass
class _Child:
    state: State
    distance: float
    cost: float


def explain(
    segment: Segment, sample: int, known: Collection[str] = (), most: int = DEPTH
) -> Explanation:
    """The fewest and likeliest changes with which the port's numbers are Caffe's.

    A mistake is seldom made once: the causes ``known`` of other segments are tried first.
    """
    if known:
        found = _explain(segment, sample, sorted(known), most)
        if found.steps:
            return found
    return _explain(segment, sample, all_hypotheses(), most)


def _explain(segment: Segment, sample: int, names: Collection[str], most: int) -> Explanation:
    start = State(segment, segment.parts, {}, sample)
    frontier, tried = [start], 0
    for depth in range(most):
        children: list[_Child] = []
        for state in frontier:
            own = list(_children(state, names))
            state.forget()
            tried += len(own)
            for child in sorted(own, key=lambda child: (child.cost, child.distance)):
                if child.distance <= NEAR and (gap := _proven(child.state)) is not None:
                    return Explanation(child.state.steps, gap, tried, child.state)
            children += own
        children.sort(key=lambda child: child.distance)
        if depth == most - 1 or tried > MOST:
            break
        likely = [child for child in children if child.state.steps[-1][1].cost <= 0]
        best = _first([*children[: WIDTH[depth]], *likely[: WIDTH[depth]]])
        frontier = [child.state for child in best]
    return Explanation((), None, tried)


def _first(children: Sequence[_Child]) -> list[_Child]:
    return list({id(child): child for child in children}.values())


def _children(state: State, names: Collection[str]) -> Iterator[_Child]:
    """The states one change further, of those changes that change a number."""
    done = [(name, proposal.layers) for name, proposal in state.steps]
    for name in names:
        proposals = list(_safely(all_hypotheses()[name].propose(state)))
        for proposal in [*proposals, *_everywhere(state, proposals)]:
            if (name, proposal.layers) in done:
                continue
            for variant in (proposal, *_safely(fitted(state, proposal))):
                child = _child(state, name, variant)
                if child is not None:
                    yield child


def _everywhere(state: State, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """The same change to several layers at once: who makes a mistake in one makes it in all."""
    alike: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        if proposal.parts is not None and len(proposal.parts) == len(state.parts):
            alike.setdefault(str(proposal.evidence.get("port")), []).append(proposal)
    for group in alike.values():
        by_layer = {proposal.layers: proposal for proposal in group}
        if len(by_layer) < 2:
            continue
        parts = list(state.parts)
        for proposal in by_layer.values():
            assert proposal.parts is not None
            for place, (old, new) in enumerate(zip(state.parts, proposal.parts, strict=True)):
                if new is not old:
                    parts[place] = new
        layers = tuple(name for names in by_layer for name in names)
        yield replace(group[0], parts=tuple(parts), layers=layers)


def _child(state: State, name: str, proposal: Proposal) -> _Child | None:
    after = State(
        state.segment,
        state.parts if proposal.parts is None else proposal.parts,
        {**state.edits, **proposal.edits},
        state.sample,
        (*state.steps, (name, proposal)),
    )
    try:
        if not proposal.edits and error(after.caffe, state.caffe) == 0:
            return None
        if proposal.edits and error(after.port, state.port) == 0:
            return None
        far = _distance(after)
    except Exception:  # a change that Caffe or torch cannot compute is none
        return None
    finally:
        after.forget()
    return _Child(after, far, sum(step.cost for _, step in after.steps))


def _safely(found: Iterator[Proposal]) -> Iterator[Proposal]:
    """Proposals, up to the first number or shape that the one who makes them cannot handle."""
    while True:
        try:
            yield next(found)
        except StopIteration:
            return
        except Exception:  # whatever torch says to it: no proposal, then
            return


def _distance(state: State) -> float:
    mine, theirs = state.port, state.caffe
    if mine.shape != theirs.shape:
        return state.segment.distance(state.parts, state.edits, state.sample)
    found = error(mine, theirs)
    return found if found < FAR else FAR


def _proven(state: State) -> Gap | None:
    """The difference on the worst sample if on all of them it is no more than rounding."""
    segment = state.segment
    worst: Gap | None = None
    order = [state.sample, *(n for n in range(len(segment.samples)) if n != state.sample)]
    for sample in order:
        gap = segment.judge(state.parts, sample, state.edits)
        if not gap.passed:
            return None
        if worst is None or gap.share > worst.share:
            worst = gap
    return worst


def causes(segment: Segment, found: Explanation) -> list[Cause]:
    """An explanation as causes, in words."""
    points = _points(found.state) if found.state is not None else ()
    result = []
    for place, (name, step) in enumerate(found.steps):
        others = _without(found.state, place) if found.state is not None else None
        before = segment.gap
        if others is not None:
            before = segment.judge(others.parts, others.sample, others.edits, strict=False)
        result.append(
            Cause(
                identifier=name,
                layers=step.layers,
                port=step.op.place if step.op is not None else segment.place,
                code=step.code,
                caffe=step.caffe,
                fix=step.fix,
                before=before,
                after=found.after,
                evidence=step.evidence,
                points=points,
            )
        )
    return result


def _without(state: State, left_out: int) -> State | None:
    """The state with all its changes but one, if they can be made without it."""
    made = State(state.segment, state.segment.parts, {}, state.sample)
    for place, (name, step) in enumerate(state.steps):
        if place == left_out:
            continue
        proposals = list(_safely(all_hypotheses()[name].propose(made)))
        proposals += _everywhere(made, proposals)
        same = [each for each in proposals if (each.layers, each.code) == (step.layers, step.code)]
        if not same:
            return None
        parts = made.parts if same[0].parts is None else same[0].parts
        made = State(state.segment, parts, {**made.edits, **same[0].edits}, state.sample)
    return made if len(state.steps) > 1 else None


def _points(state: State) -> tuple[tuple[float, float, float], ...]:
    """Elements all over the output, and those that differ most."""
    segment = state.segment
    before, after = segment.caffe(sample=state.sample).float(), state.caffe
    mine = state.port
    if before.shape != mine.shape:
        before = torch.full_like(mine, float("nan"))
    flat = [tensor.reshape(-1) for tensor in (before, after, mine)]
    count = mine.numel()
    some = torch.arange(0, count, max(count // POINTS, 1))
    gap = (flat[0] - flat[2]).abs().nan_to_num()
    most = gap.topk(min(POINTS // 4, count)).indices
    chosen = torch.cat([some, most])
    rows = torch.stack([each[chosen] for each in flat], 1).double().tolist()
    return tuple((row[0], row[1], row[2]) for row in rows)
