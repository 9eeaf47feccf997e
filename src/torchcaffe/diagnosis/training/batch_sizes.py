"""How many samples make an update, and what that does to a loss that is summed."""

from __future__ import annotations

from collections.abc import Mapping

from torchcaffe.diagnosis.findings import Cause, Gap, Place
from torchcaffe.diagnosis.training.recipe import Recipe

SUMS = ("1", "2")


def batch_size_cause(port: int, caffe: int, recipe: Recipe, iter_size: int) -> Cause | None:
    """The cause, with the factor that it puts on gradients; None where the sizes are the same.

    recipe  the port's, as far as it is explained; ``iter_size`` is Caffe's.
    """
    samples = (port * recipe.iter_size, caffe * iter_size)
    factors = {
        name: port / caffe if term.divisor in SUMS else 1.0 for name, term in recipe.losses.items()
    }
    summed = any(factor != 1 for factor in factors.values())
    if port == caffe or (samples[0] == samples[1] and not summed):
        return None
    return Cause(
        "batch-size",
        (),
        Place("batch_size"),
        f"Your batches have {port} samples. {_effect(port, caffe, summed)}",
        f"Caffe's have {caffe}.",
        f"batch_size={caffe}" + (f", or the loss times {caffe}/{port}" if summed else ""),
        Gap((), float(port), float(caffe), abs(1 - port / caffe), 2.0) if summed else None,
        Gap((), float(caffe), float(caffe), 0.0, 0.0) if summed else None,
        _evidence(port, caffe, factors),
    )


def _effect(port: int, caffe: int, summed: bool) -> str:
    if summed:
        return (
            f"The loss is a sum, so that your gradients are {port / caffe:.4g} of Caffe's on "
            f"average, as if the rate were {port / caffe:.4g} of Caffe's, while weight decay stays."
        )
    return (
        f"The loss is an average, so that your gradients are as large as Caffe's, with "
        f"{(caffe / port) ** 0.5:.3g} times the noise, and an epoch has {caffe / port:.3g} times "
        f"the updates."
    )


def _evidence(port: int, caffe: int, factors: Mapping[str, float]) -> dict[str, object]:
    return {"port": port, "caffe": caffe, "factors": dict(factors)}
