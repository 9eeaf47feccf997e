"""gradient-accumulated: gradients are not zeroed, and those of all earlier batches stay in."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "gradient-accumulated"
EXPERIMENT = "gradients"
ORDER = 5


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """Gradients that only ever add up."""
    if recipe.zeroed and len(case.trials[0].updates) > 1:
        yield Change(
            IDENTIFIER,
            sets(zeroed=False),
            "Your second update is made with the gradients of the first batches and the second: "
            "they are never zeroed.",
            "Caffe clears all gradients before each iteration.",
            "optimizer.zero_grad() before the first backward pass of each update",
        )
