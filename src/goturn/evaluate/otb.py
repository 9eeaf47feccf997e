"""OTB's one-pass evaluation: success and precision, the mean over sequences."""

from __future__ import annotations

from collections.abc import Sequence as Ordered

import numpy as np

from goturn.evaluate.metrics import (
    PRECISION_AT,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    Array,
    center_distances,
    overlaps,
    precision_curve,
    success_curve,
    to_array,
)
from goturn.evaluate.protocol import Curve, Protocol, Scores, counted, single_numbers
from goturn.evaluate.results import Results
from goturn.sequence import Sequence

HALF = len(SUCCESS_THRESHOLDS) // 2


def measure(sequences: Ordered[Sequence], results: Results) -> Scores:
    """Curves of each sequence, then their mean; every sequence weighs the same."""
    curves = [_curves(sequence, results.boxes(sequence)) for sequence in sequences]
    success, precision = (np.mean(parts, axis=0) for parts in zip(*curves, strict=True))
    return Scores(
        overall=_numbers(success, precision),
        sequences={
            sequence.name: _numbers(*pair) for sequence, pair in zip(sequences, curves, strict=True)
        },
        curves={
            "success": Curve(
                "overlap threshold",
                SUCCESS_THRESHOLDS.tolist(),
                success.tolist(),
                float(success.mean()),
            ),
            "precision": Curve(
                "distance threshold (pixels)",
                PRECISION_THRESHOLDS.tolist(),
                precision.tolist(),
                float(precision[PRECISION_AT]),
            ),
        },
    )


def _curves(sequence: Sequence, boxes: Array) -> tuple[Array, Array]:
    """Success and precision over the frames that have a box to compare with.

    The first frame counts, with the box that was given.
    """
    truth = to_array(sequence.boxes)
    boxes = np.concatenate([truth[:1], boxes[1:]])
    frames = counted(sequence)
    return (
        success_curve(overlaps(boxes[frames], truth[frames])),
        precision_curve(center_distances(boxes[frames], truth[frames])),
    )


def _numbers(success: Array, precision: Array) -> dict[str, float]:
    return single_numbers(
        auc=success.mean(), precision=precision[PRECISION_AT], success_rate=success[HALF]
    )


PROTOCOL = Protocol(
    name="otb",
    title="OTB, one pass",
    follows="got10k toolkit 0.1.3, ExperimentOTB (and ExperimentUAV123 for frames without a box)",
    kind="one-pass",
    numbers={
        "auc": "success: the mean of 21 success rates, for overlaps above 0, 0.05, ..., 1; a "
        "perfect tracker has 20/21",
        "precision": "the part of the frames whose centres are at most 20 pixels apart",
        "success_rate": "the part of the frames with an overlap above 0.5",
    },
    measure=measure,
)
