"""From an alignment to what differs and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torchcaffe.diagnosis.alignment import Alignment, Pair
from torchcaffe.diagnosis.findings import Cause, Gap, Unexplained
from torchcaffe.diagnosis.hypotheses._registry import all_hypotheses
from torchcaffe.diagnosis.reference import Values
from torchcaffe.diagnosis.search import Explanation, causes, explain
from torchcaffe.diagnosis.segments import Segment, segment

Say = Callable[[str], None]


@dataclass
class Examination:
    """All segments, judged; ``worst`` is the sample on which each differs most."""

    alignment: Alignment
    samples: Sequence[Values]
    pairs: list[Pair]
    segments: list[Segment] = field(default_factory=list)
    worst: dict[int, int] = field(default_factory=dict)
    spent: float = 0.0
    """The seconds that were spent on explaining: with many, fewer mistakes at once are tried."""
    known: set[str] = field(default_factory=set)
    """The causes that were proven so far."""

    def judge(self, part: Segment) -> bool:
        """Whether a segment agrees on every sample; its gap is that of the worst."""
        for sample in range(len(self.samples)):
            if part.gap is not None and not part.gap.passed and part.close(sample):
                continue  # it differs already, and here no more
            gap = part.judge(sample=sample, strict=False)
            if part.gap is None or gap.share > part.gap.share:
                part.gap = gap
                self.worst[id(part)] = sample
        assert part.gap is not None
        part.state = "same" if part.gap.passed else "differs"
        return part.gap.passed

    def cut(self, pair: Pair, pairs: Sequence[Pair] | None = None) -> Segment:
        """The segment that ends at a pair, judged."""
        found = segment(self.alignment, self.samples, pair, self.pairs if pairs is None else pairs)
        self.judge(found)
        return found

    def agrees(self, pair: Pair, pairs: Sequence[Pair]) -> bool:
        """Whether the segment that ends at a pair agrees on every sample."""
        part = segment(self.alignment, self.samples, pair, pairs)
        return all(part.judge(sample=n, strict=False).passed for n in range(len(self.samples)))


def examine(alignment: Alignment, samples: Sequence[Values], say: Say) -> Examination:
    """Cut both graphs at the pairs, and hold every segment to its class."""
    found = Examination(alignment, samples, _resolved(alignment, samples))
    inputs = set(alignment.tape.inputs)
    for pair in list(found.pairs):
        if pair.port in inputs and pair.how == "value":
            continue
        part = found.cut(pair)
        say(part.layers[-1])
        found.segments.append(part)
    _drop_false_pairs(found)
    return found


def _resolved(alignment: Alignment, samples: Sequence[Values]) -> list[Pair]:
    """One blob for each value that equals several: the one that it equals on the other samples too,
    and of those the last."""
    groups: dict[int, list[Pair]] = {}
    for pair in alignment.pairs:
        if pair.how == "value":
            groups.setdefault(pair.port, []).append(pair)
    kept: list[Pair] = []
    inputs = set(alignment.tape.inputs)
    for pair in alignment.pairs:
        group = groups.get(pair.port, [])
        if pair.how != "value" or len(group) < 2 or pair.port in inputs:
            kept.append(pair)
        elif pair is group[0]:
            kept.append(_best(alignment, samples, group, kept))
    return kept


def _best(
    alignment: Alignment, samples: Sequence[Values], group: Sequence[Pair], before: Sequence[Pair]
) -> Pair:
    scored = []
    for place, pair in enumerate(sorted(group, key=lambda each: each.caffe)):
        one = segment(alignment, samples, pair, [*before, pair])
        failed = sum(not one.judge(sample=n).passed for n in range(len(samples)))
        scored.append((failed, -place, pair))
    return min(scored, key=lambda each: each[:2])[2]


def _drop_false_pairs(found: Examination) -> None:
    """A pair before and behind which all differs, and without which all agrees, is none.

    So a correct port passes whose layers are folded, or stand in another order that is as good.
    """
    for part in [part for part in found.segments if part.state == "differs"]:
        if part not in found.segments or part.pair.how == "end":
            continue
        rest = [pair for pair in found.pairs if pair is not part.pair]
        readers = [
            other
            for other in found.segments
            if (other is not part and part.pair in other.cuts)
            or (other is not part and part.pair.caffe in other.outside)
        ]
        # What is made twice, first wrongly, was not made the first time: it only looks alike.
        twice = part.pair.how == "value" and any(
            part.pair in reader.cuts and reader.pair.caffe == part.pair.caffe for reader in readers
        )
        if not twice and not any(reader.state == "differs" for reader in readers):
            continue
        if twice or all(found.agrees(reader.pair, rest) for reader in readers):
            merged = [found.cut(reader.pair, rest) for reader in readers]
            found.pairs = rest
            swap = {id(old): new for old, new in zip(readers, merged, strict=True)}
            found.segments = [
                swap.get(id(each), each) for each in found.segments if each is not part
            ]


@dataclass
class Answer:
    """What a segment that differs comes to."""

    part: Segment
    causes: list[Cause] = field(default_factory=list)
    unexplained: Unexplained | None = None


def answer(found: Examination, part: Segment) -> list[Answer]:
    """The causes of one segment, cut finer where that tells more."""
    made = {value for op in part.ops for value in op.outputs} - {part.pair.port}
    tops = {top for each in part.parts for top in each.tops} - {part.pair.caffe}
    pairs, pieces, answers = list(found.pairs), list[Segment](), list[Answer]()
    for soft in found.alignment.soft:
        if soft.port in made and soft.caffe in tops:
            finer = found.cut(soft, [*pairs, soft])
            one = _alone(found, finer) if finer.state == "differs" else Answer(finer)
            if one.unexplained is None:
                pairs.append(soft)
                pieces.append(finer)
                answers.append(one)
    if not pieces:
        return [_alone(found, part)]
    rest = found.cut(part.pair, pairs)
    last = _alone(found, rest) if rest.state == "differs" else Answer(rest)
    if last.unexplained is not None:
        whole = _alone(found, part)
        if whole.unexplained is None or not any(each.causes for each in answers):
            return [whole]
    place = found.segments.index(part)
    found.segments[place : place + 1] = [*pieces, rest]
    return [*answers, last]


def _alone(found: Examination, part: Segment) -> Answer:
    part.gap = part.judge(sample=found.worst[id(part)])
    if part.gap.passed:  # it is as sensitive as that
        part.state = "same"
        return Answer(part)
    started = time.thread_time()
    depth = next((n for n, most in ((3, 20.0), (2, 40.0)) if found.spent < most), 1)
    result: Explanation = explain(part, found.worst[id(part)], found.known, depth)
    found.spent += time.thread_time() - started
    if result.steps:
        found.known |= {name for name, _ in result.steps}
        return Answer(part, causes(part, result))
    assert part.gap is not None
    gap: Gap = part.gap
    known = len(all_hypotheses())
    return Answer(part, [], Unexplained(part.layers, part.place, gap, result.tried, known))
