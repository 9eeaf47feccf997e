"""Which decays a trial shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchcaffe.diagnosis.training.cases import UpdateCase, differ
from torchcaffe.diagnosis.training.recipe import Blob, Recipe
from torchcaffe.diagnosis.training.updates import residual

USUAL = tuple(digit * 10.0**-power for power in range(1, 7) for digit in (1, 2, 4, 5))
"""Decays that people write, for rules whose first step does not show theirs."""


def is_bias(blob: Blob) -> bool:
    """Whether a blob is added: of layers with weights and a bias, the second."""
    return blob.endswith("/1")


def changed_decays(
    case: UpdateCase, recipe: Recipe, blobs: Sequence[Blob]
) -> Iterator[dict[Blob, float]]:
    """Decays other than the recipe's that the numbers show, for those of ``blobs`` that have any.

    Read off the first step where it shows them; else one of those that people write, or that the
    optimizer's groups hold, whichever leaves least.
    """
    fits = case.fits(recipe)
    if any(fits[blob].decay is not None for blob in blobs):
        wrong = {
            blob: decay
            for blob in blobs
            if (decay := fits[blob].decay) is not None and differ(decay, recipe.decays[blob])
        }
        if wrong:
            yield wrong
        return
    held = [float(value) for value in case.setting("weight_decay")]
    best = {
        blob: (value, recipe.decays[blob])
        for blob, value in residual(case.trial, recipe).blobs.items()
        if blob in blobs
    }
    before = dict(best)
    for decay in dict.fromkeys([0.0, *held, case.weight_decay, *USUAL]):
        changed = recipe.change(decays={**recipe.decays, **dict.fromkeys(blobs, decay)})
        for blob, value in residual(case.trial, changed).blobs.items():
            if blob in blobs and value < best[blob][0] / 2:
                best[blob] = (value, decay)
    found = {blob: entry[1] for blob, entry in best.items() if entry != before[blob]}
    if found:
        yield found
