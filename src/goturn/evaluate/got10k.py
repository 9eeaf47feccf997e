"""GOT-10k's average overlap and success rates, over all frames of all sequences together."""

from __future__ import annotations

from collections.abc import Sequence as Ordered

import numpy as np

from goturn.errors import DataError
from goturn.evaluate.metrics import Array, bounded, overlaps, success_curve, to_array
from goturn.evaluate.protocol import Curve, Protocol, Scores, counted, image_size, single_numbers
from goturn.evaluate.results import Results
from goturn.sequence import Sequence

THRESHOLDS: Array = np.linspace(0, 1, 101)


def measure(sequences: Ordered[Sequence], results: Results) -> Scores:
    """Overlaps of every frame that counts, pooled; a long sequence weighs more than a short one."""
    found = {item.name: _overlaps(item, results.boxes(item)) for item in sequences}
    pooled = np.concatenate(list(found.values()))
    curve = success_curve(pooled, THRESHOLDS)
    return Scores(
        overall=_numbers(pooled),
        sequences={name: _numbers(values) for name, values in found.items()},
        curves={
            "success": Curve(
                "overlap threshold", THRESHOLDS.tolist(), curve.tolist(), float(pooled.mean())
            )
        },
    )


def _overlaps(sequence: Sequence, boxes: Array) -> Array:
    """Overlaps inside the image, in the frames but the first where the object is to be seen."""
    frames = counted(sequence)
    frames[0] = False
    if not frames.any():
        raise DataError(f"{sequence.name} has no frame after the first that counts")
    size = image_size(sequence)
    truth = bounded(to_array(sequence.boxes)[frames], size)
    return overlaps(bounded(boxes[frames], size), truth)


def _numbers(found: Array) -> dict[str, float]:
    return single_numbers(ao=found.mean(), sr_50=(found > 0.5).mean(), sr_75=(found > 0.75).mean())


PROTOCOL = Protocol(
    name="got10k",
    title="GOT-10k, one pass",
    follows="got10k toolkit 0.1.3, ExperimentGOT10k; SR 0.75, which only the server reports, by "
    "the same rule",
    kind="one-pass",
    numbers={
        "ao": "average overlap of the frames but the first, where the object is to be seen",
        "sr_50": "the part of these frames with an overlap above 0.5",
        "sr_75": "the part of these frames with an overlap above 0.75",
    },
    measure=measure,
)
