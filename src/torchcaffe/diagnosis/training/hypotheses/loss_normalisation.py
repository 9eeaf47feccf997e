"""loss-normalisation: a loss is divided by another count than Caffe's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.reference import DIVISORS
from torchcaffe.diagnosis.training.search import Change

IDENTIFIER = "loss-normalisation"
EXPERIMENT = "gradients"
ORDER = 2


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """The divisors that make up for the factor which the gradients show, alone and all together."""
    factors = case.factors(recipe)
    raws = case.raw(case.trials[0], recipe)[0]
    chosen: dict[str, list[str]] = {}
    for name, factor in factors.items():
        term, counts = recipe.losses[name], raws[name].counts
        if abs(factor - 1) > 1e-4 and factor > 0:
            wanted = counts[term.divisor] / factor
            chosen[name] = [
                divisor
                for divisor, count in counts.items()
                if abs(count - wanted) <= 1e-4 * wanted and divisor != term.divisor
            ]
    for places in range(max((len(found) for found in chosen.values()), default=0)):
        new = {name: found[min(places, len(found) - 1)] for name, found in chosen.items() if found}
        yield _change(case, new, factors)


def _change(case: GradientCase, new: dict[str, str], factors: dict[str, float]) -> Change:
    def apply(old: Recipe) -> Recipe:
        losses = {
            name: replace(term, divisor=new.get(name, term.divisor))
            for name, term in old.losses.items()
        }
        return old.change(losses=losses)

    name = next(iter(new))
    caffe = case.caffe.losses[name].divisor
    return Change(
        "loss-normalisation",
        apply,
        f"Your loss is {DIVISORS[new[name]]}; on the same batch your gradients are "
        f"{factors[name]:.6g} times Caffe's.",
        f"Caffe's is {DIVISORS[caffe]}.",
        FIXES.get(caffe, FIXES["1"]),
        tuple(new),
        evidence={"port": new[name], "caffe": caffe, "factor": factors[name]},
    )


FIXES = {
    "1": 'reduction="sum" in your loss',
    "N": 'reduction="sum" in your loss, then / len(batch)',
    "P": 'reduction="mean" in your loss',
    "V": 'reduction="mean" with ignore_index, or the sum divided by (label != ignore).sum()',
    "2N": 'reduction="sum" in your loss, then / (2 * len(batch))',
}
