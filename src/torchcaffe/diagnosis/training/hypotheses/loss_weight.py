"""loss-weight: a loss counts more or less than Caffe's loss_weight says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change

IDENTIFIER = "loss-weight"
EXPERIMENT = "gradients"
ORDER = 3


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """The weights that the gradients show."""
    weights = {
        name: float(f"{recipe.losses[name].weight * factor:.6g}")
        for name, factor in case.factors(recipe).items()
        if abs(factor - 1) > 1e-4
    }
    weights = {name: 0.0 if abs(weight) < 1e-9 else weight for name, weight in weights.items()}
    if not weights:
        return

    def apply(old: Recipe) -> Recipe:
        losses = {
            name: replace(term, weight=weights.get(name, term.weight))
            for name, term in old.losses.items()
        }
        return old.change(losses=losses)

    yours = ", ".join(f'"{name}" {weight:g}' for name, weight in weights.items())
    caffes = ", ".join(f'"{name}" {case.caffe.losses[name].weight:g}' for name in weights)
    yield Change(
        IDENTIFIER,
        apply,
        f"Your loss has weights {yours}.",
        f"Caffe's loss_weight: {caffes}.",
        "loss = "
        + " + ".join(f"{term.weight:g} * {name}" for name, term in case.caffe.losses.items()),
        tuple(weights),
        evidence={"port": weights, "caffe": {n: case.caffe.losses[n].weight for n in weights}},
    )
