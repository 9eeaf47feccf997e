"""How many samples make an update, and what that does to a loss that is summed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from torchcaffe.diagnosis.findings import Cause, Gap, Place
from torchcaffe.diagnosis.training.dropouts import Dropouts
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.reference import make_batch
from torchcaffe.diagnosis.training.run_port import Runner

SUMS = ("1", "2")


def batch_size_cause(
    port: int,
    caffe: int,
    recipe: Recipe,
    iter_size: int,
    losses: tuple[float, float] | None = None,
) -> Cause | None:
    """The cause, with the factor that it puts on gradients; None where the sizes are the same.

    recipe  the port's, as far as it is explained; ``iter_size`` is Caffe's; ``losses`` are the
    port's own at both sizes, for the same sample.
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
        _gap(losses[0], losses[1]) if losses and summed else None,
        _gap(losses[1], losses[1]) if losses and summed else None,
        _evidence(port, caffe, factors),
    )


def _gap(mine: float, theirs: float) -> Gap:
    part = abs(mine - theirs) / max(abs(mine), abs(theirs), 1e-300)
    return Gap((), mine, theirs, part, part / 2.0**-18)


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


def said(port: int, caffe: int) -> list[Cause]:
    """iter-size, where it is only said (``accumulate``) and not seen."""
    return [
        Cause(
            "iter-size",
            (),
            Place("accumulate"),
            f"Your update takes {port} batch{'es' * (port > 1)}, as you say.",
            f"Caffe's iter_size is {caffe}.",
            f"optimizer.step() after every {caffe} batches, each loss divided by {caffe}",
            evidence={"port": port, "caffe": caffe},
        )
    ]


def losses_of_sizes(runner: Runner, sizes: tuple[int, int]) -> tuple[float, float] | None:
    """The port's loss of one sample, so many times over; None if its loss is not to be had alone.

    The outputs are repeated, not the inputs, so that large nets take no longer.
    """
    port = runner.port
    if port.loss is None:
        return None
    inputs = make_batch(runner.reference, runner.reference.trial_size(), 0, ignored=False)
    try:
        with preserved(port, torch.float64), Dropouts(), torch.no_grad():
            output = runner.forward(inputs)
            batch = runner.batch(inputs)
            targets = [batch[name] for name in runner.reference.targets]
            mine, theirs = (
                float(port.loss(_repeated(output, size), *_repeated(targets, size)))
                for size in sizes
            )
    except Exception:  # outputs of another form; the factor is known without this
        return None
    return mine, theirs


def _repeated(value: Any, size: int) -> Any:
    """The first sample of each tensor, ``size`` times."""
    if isinstance(value, Tensor):
        return value[:1].expand(size, *value.shape[1:])
    if isinstance(value, Mapping):
        return {name: _repeated(part, size) for name, part in value.items()}
    return type(value)(_repeated(part, size) for part in value)
