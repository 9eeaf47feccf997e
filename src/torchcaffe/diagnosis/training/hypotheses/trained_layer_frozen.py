"""trained-layer-frozen: Caffe trains the blob, the port's optimizer leaves it as it is."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase, layers_of, table
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "trained-layer-frozen"
EXPERIMENT = "updates"
ORDER = 0


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """All blobs that should move and do not."""
    fed = case.trial.fed
    wrong = [
        blob
        for blob in case.trial.slices
        if recipe.rates[blob] and not (case.moves(blob) and blob in fed)
    ]
    if not wrong or recipe.ungraded:
        return
    still = {blob: 0.0 for blob in wrong if not case.moves(blob)}
    decaying = frozenset(wrong) - frozenset(still)

    yield Change(
        IDENTIFIER,
        sets(rates=still, ungraded=decaying),
        f"{case.names(wrong)} never learn: they take no gradient, are in no parameter group, or "
        f"their rate is 0." + (" Weight decay goes on shrinking them." if decaying else ""),
        f"Caffe trains them, at rates {table({b: case.caffe.rates[b] for b in wrong})}.",
        f"give {case.names(wrong)} to the optimizer, with requires_grad_(True)",
        layers_of(wrong),
        case.names(wrong),
        {"blobs": wrong},
    )
