"""adam-epsilon: Adam's small number is another, or added at another place."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.epsilons import other_epsilons
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change

IDENTIFIER = "adam-epsilon"
EXPERIMENT = "updates"
ORDER = 8


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """torch's place for it, inside the root, and other sizes."""
    if recipe.rule.kind == "Adam":
        fix = "torchcaffe.optim.Adam(..., delta={:g})"
        yield from other_epsilons(case, recipe, IDENTIFIER, fix)
