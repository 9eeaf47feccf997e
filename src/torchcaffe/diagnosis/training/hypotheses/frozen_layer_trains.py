"""frozen-layer-trains: Caffe's lr_mult is 0, the port's optimizer moves the parameter."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase, layers_of, table
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets
from torchcaffe.diagnosis.training.updates import fit_blob

IDENTIFIER = "frozen-layer-trains"
EXPERIMENT = "updates"
ORDER = 0


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The rates and decays of all blobs that should stand still and do not."""
    wrong = [blob for blob in case.trial.slices if not recipe.rates[blob] and case.moves(blob)]
    if not wrong:
        return
    fits = {blob: fit_blob(case.trial, blob, recipe) for blob in wrong}
    rates = {blob: fit.rate for blob, fit in fits.items()}
    decays = {blob: fit.decay for blob, fit in fits.items() if fit.decay is not None}

    yield Change(
        IDENTIFIER,
        sets(rates=rates, decays=decays),
        f"Your optimizer moves {case.names(wrong)}, at rates {table(rates)}.",
        "Caffe's lr_mult of these blobs is 0: they keep the values they began with.",
        f"requires_grad_(False) for {case.names(wrong)}, or leave them out of the optimizer",
        layers_of(wrong),
        case.names(wrong),
        {"rates": rates},
    )
