"""The numbers of several trackers side by side, from their result files alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from goturn.errors import DataError
from goturn.evaluate.protocol import Protocol, Scores
from goturn.evaluate.results import Results
from goturn.sequence import Sequence

SPEED = "frames_per_second"
SPEED_IN_WORDS = (
    "frames divided by the seconds spent in init and update, which reading images is not part of; "
    "goturn's own (the toolkit averages 1/seconds)"
)


@dataclass(frozen=True)
class Report:
    """What one protocol says of some trackers' results on the same sequences."""

    protocol: Protocol
    scores: Mapping[str, Scores]
    """By the trackers' names, in the order of their folders."""
    speeds: Mapping[str, float]
    """Frames per second; NaN where no times were noted."""

    @property
    def numbers(self) -> dict[str, str]:
        """What each number means, in the order in which they are shown."""
        return {**self.protocol.numbers, SPEED: SPEED_IN_WORDS}

    def overall(self, tracker: str) -> dict[str, float]:
        """A tracker's numbers over all sequences."""
        return {**self.scores[tracker].overall, SPEED: self.speeds[tracker]}

    def to_json(self) -> dict[str, Any]:
        """Plain values: the protocol in words, then each tracker's numbers and curves."""
        return {
            "protocol": self.protocol.name,
            "title": self.protocol.title,
            "follows": self.protocol.follows,
            "numbers": self.numbers,
            "trackers": {name: self._tracker(name) for name in self.scores},
        }

    def _tracker(self, name: str) -> dict[str, Any]:
        scores = self.scores[name]
        return {
            "overall": _finite(self.overall(name)),
            "sequences": {key: _finite(values) for key, values in scores.sequences.items()},
            "curves": {key: vars(curve) for key, curve in scores.curves.items()},
        }


def report(
    sequences: Ordered[Sequence],
    folders: Ordered[str | PathLike[str]],
    protocol: Protocol,
) -> Report:
    """Measure the results in each of ``folders``, one a tracker, named as the tracker.

    Raises DataError for a sequence without results, and for result files that are malformed.
    """
    if not sequences or not folders:
        raise DataError("there is nothing to report on without sequences and folders of results")
    every = [Results(Path(folder)) for folder in folders]
    names = _names(every)
    return Report(
        protocol,
        {name: protocol.measure(sequences, each) for name, each in zip(names, every, strict=True)},
        {
            name: _speed(sequences, each, protocol.kind)
            for name, each in zip(names, every, strict=True)
        },
    )


def _names(every: list[Results]) -> list[str]:
    """The folders' own names, or their whole paths where two are called the same."""
    counts = Counter(each.name for each in every)
    names = [each.name if counts[each.name] == 1 else str(each.folder) for each in every]
    if len(set(names)) < len(names):
        raise DataError(f"a folder of results is given twice: {max(names, key=names.count)}")
    return names


def _speed(sequences: Ordered[Sequence], results: Results, kind: str) -> float:
    seconds = [value for item in sequences for value in results.seconds(item, kind)]
    return len(seconds) / sum(seconds) if seconds else float("nan")


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
