"""lr-multiplier: some blobs have another rate than Caffe's lr_mult gives them."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase, differ, layers_of, number, table
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "lr-multiplier"
EXPERIMENT = "updates"
ORDER = 2


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The rates that the first step shows, where they are not the recipe's."""
    fits = case.fits(recipe)
    wrong = {b: f.rate for b, f in fits.items() if f.rate > 0 and differ(f.rate, recipe.rates[b])}
    # Where every rate is another, the base rate is; unless all multipliers were left out.
    if not wrong or (len(wrong) == len(fits) and not case.without_multipliers(recipe)):
        return

    blobs = list(wrong)
    yours = {blob: float(f"{wrong[blob] / case.base_lr:.6g}") for blob in blobs}
    caffes = {blob: float(f"{case.caffe.rates[blob] / case.base_lr:.6g}") for blob in blobs}
    first = blobs[0]
    yield Change(
        IDENTIFIER,
        sets(rates=wrong),
        f"Your rates, as multiples of base_lr {number(case.base_lr)}: {table(yours)}.",
        f"Caffe's lr_mult: {table(caffes)}.",
        f"a parameter group of its own for {case.names(blobs)}, with "
        f"lr={number(case.caffe.rates[first])} (base_lr * lr_mult {caffes[first]:g})"
        + ("" if len(set(caffes.values())) == 1 else " and so on"),
        layers_of(blobs),
        case.names(blobs),
        {"port": yours, "caffe": caffes},
    )
