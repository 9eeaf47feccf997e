"""base-lr: every rate is another by one factor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase, differ, number
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change

IDENTIFIER = "base-lr"
EXPERIMENT = "updates"
ORDER = 1


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The factor that most blobs show, if it is not 1."""
    ratios = case.ratios(recipe)
    counts = Counter(ratios.values())
    if not counts or counts[1.0] == max(counts.values()) or case.without_multipliers(recipe):
        return
    factor = counts.most_common(1)[0][0]
    if factor <= 0 or not differ(factor, 1):
        return
    base = float(f"{case.base_lr * factor:.6g}")
    exact = base / case.base_lr

    def apply(old: Recipe) -> Recipe:
        return old.change(rates={blob: rate * exact for blob, rate in old.rates.items()})

    yield Change(
        IDENTIFIER,
        apply,
        f"Your base rate is {number(base)}.",
        f"Caffe's is base_lr {number(case.base_lr)} at iteration 0; yours is {factor:g} times it.",
        f"{case.kind}(..., lr={number(case.base_lr)})",
        evidence={"port": base, "caffe": case.base_lr, "factor": factor},
    )
