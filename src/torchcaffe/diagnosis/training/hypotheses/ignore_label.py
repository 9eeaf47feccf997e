"""ignore-label: labels count that Caffe's loss ignores, or the other way around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import LossTerm, Recipe
from torchcaffe.diagnosis.training.search import Change

IDENTIFIER = "ignore-label"
EXPERIMENT = "gradients"
ORDER = 4


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """No label ignored, or another one of those there are."""
    labels = case.reference.labels
    steps = {step.name: step for step in case.reference.net.steps}
    for name, term in recipe.losses.items():
        if term != case.caffe.losses[name] and term.ignore != case.caffe.losses[name].ignore:
            continue
        source = case.reference.source_of(steps[name].bottoms[-1]) if name in steps else ""
        if source not in labels:
            continue
        classes, ignored = labels[source]
        if ignored is not None and not 0 <= ignored < classes:
            continue  # a loss that does not ignore it raises
        for ignore in (None, *range(min(classes, 32))):
            if ignore != term.ignore:
                yield _change(case, name, term, ignore)


def _change(case: GradientCase, name: str, term: LossTerm, ignore: int | None) -> Change:
    divisor = term.divisor
    if ignore is None and divisor == "V":
        divisor = "P"
    elif ignore is not None and divisor == "P":
        divisor = "V"

    def apply(old: Recipe) -> Recipe:
        new = replace(old.losses[name], ignore=ignore, divisor=divisor)
        return old.change(losses={**old.losses, name: new})

    caffe = case.caffe.losses[name].ignore
    return Change(
        IDENTIFIER,
        apply,
        "Your loss ignores no label." if ignore is None else f"Your loss ignores label {ignore}.",
        "Caffe's ignores none." if caffe is None else f"Caffe's ignores label {caffe}.",
        "leave ignore_index out" if caffe is None else f"ignore_index={caffe} in your loss",
        (name,),
        evidence={"port": ignore, "caffe": caffe},
    )
