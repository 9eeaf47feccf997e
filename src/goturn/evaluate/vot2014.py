"""VOT2014's accuracy and failures, of runs with re-initialisation."""

from __future__ import annotations

from collections.abc import Sequence as Ordered

import numpy as np

from goturn.evaluate.metrics import Array, region_overlap
from goturn.evaluate.protocol import Protocol, Scores, image_size, single_numbers, truth
from goturn.evaluate.results import BASELINE, FAILURE, START, Record, Results
from goturn.sequence import Sequence

BURN_IN = 10
"""So many frames from each start on, the start among them, do not count for accuracy."""


def measure(sequences: Ordered[Sequence], results: Results) -> Scores:
    """Overlaps pooled over all frames, failures added up; both are means over repetitions."""
    found = {item.name: _measure(item, results.records(item)) for item in sequences}
    pooled = np.concatenate([overlaps for overlaps, _ in found.values()])
    failures = [count for _, count in found.values()]
    return Scores(
        overall=single_numbers(
            accuracy=_mean(pooled),
            failures=sum(failures),
            failures_per_sequence=sum(failures) / len(failures),
        ),
        sequences={
            name: single_numbers(accuracy=_mean(overlaps), failures=count)
            for name, (overlaps, count) in found.items()
        },
    )


def _measure(sequence: Sequence, runs: list[list[Record]]) -> tuple[Array, float]:
    """The overlap of each frame that counts in a repetition, and the failures in a repetition."""
    size = image_size(sequence)
    overlaps = np.array([_overlaps(sequence, records, size) for records in runs])
    counts = ~np.isnan(overlaps)
    frames = counts.any(axis=0)
    means = np.nansum(overlaps[:, frames], axis=0) / counts[:, frames].sum(axis=0)
    failures = sum(record == FAILURE for records in runs for record in records)
    return means, failures / len(runs)


def _overlaps(sequence: Sequence, records: list[Record], size: tuple[int, int]) -> list[float]:
    """NaN where a frame does not count: not a box, too soon after a start, or without a truth."""
    found = []
    last_start = 0
    for index, record in enumerate(records):
        last_start = index if record == START else last_start
        if len(record) != 4 or index < last_start + BURN_IN or sequence.boxes[index] is None:
            found.append(np.nan)
        else:
            found.append(region_overlap(truth(sequence, index), record, size))
    return found


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


PROTOCOL = Protocol(
    name="vot2014",
    title="VOT2014's baseline, with re-initialisation",
    follows="got10k toolkit 0.1.3, the supervised experiment of ExperimentVOT, without its weights "
    "for tags; raw values, neither ranks nor EAO, and no region noise",
    kind=BASELINE,
    numbers={
        "accuracy": "the mean overlap with the annotated region inside the image, of all frames "
        "with a box but the first 10 from each start",
        "failures": "frames with no overlap, after which the tracker starts again 5 frames later",
        "failures_per_sequence": "failures divided by the number of sequences",
    },
    measure=measure,
)
