"""The places and sizes of the small number that keeps a rule from dividing by 0."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets_rule

PLACES = {
    "outside": "sqrt(v) + eps",
    "corrected": "sqrt(v / (1 - beta2^t)) + eps, which is Caffe's delta of eps * sqrt(1 - beta2^t)",
    "inside": "sqrt(v + eps)",
}
SIZES = tuple(10.0**-power for power in range(1, 13))


def other_epsilons(case: UpdateCase, recipe: Recipe, identifier: str, fix: str) -> Iterator[Change]:
    """Changes of place first, then of size, then of both."""
    rule = recipe.rule
    if rule != case.caffe.rule and (rule.epsilon, rule.delta) != (
        case.caffe.rule.epsilon,
        case.caffe.rule.delta,
    ):
        return
    held = [float(value) for value in case.setting("eps")]
    places = [place for place in PLACES if place != "corrected" or rule.kind == "Adam"]
    for size in dict.fromkeys([rule.delta, *held, *SIZES]):
        for place in places:
            if (place, size) == (rule.epsilon, rule.delta):
                continue
            yield Change(
                identifier,
                sets_rule(epsilon=place, delta=size),
                f"Your {case.kind} divides by {PLACES[place]}, with eps {size:g}.",
                f"Caffe divides by {PLACES[rule.epsilon]}, with delta {rule.delta:g}. Where "
                f"gradients are as small as that, the steps differ.",
                fix.format(rule.delta),
                evidence={"port": size, "caffe": rule.delta, "place": place},
            )
