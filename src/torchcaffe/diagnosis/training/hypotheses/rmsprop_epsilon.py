"""rmsprop-epsilon: RMSProp's small number is another, or inside the root."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.epsilons import other_epsilons
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change

IDENTIFIER = "rmsprop-epsilon"
EXPERIMENT = "updates"
ORDER = 8


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """Inside the root, and other sizes."""
    if recipe.rule.kind == "RMSProp":
        fix = "torch.optim.RMSprop(..., eps={:g}), which adds it outside the root as Caffe does"
        yield from other_epsilons(case, recipe, IDENTIFIER, fix)
