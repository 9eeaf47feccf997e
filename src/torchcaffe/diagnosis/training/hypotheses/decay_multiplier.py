"""decay-multiplier: some blobs decay more or less than Caffe's weight_decay * decay_mult."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase, layers_of, table
from torchcaffe.diagnosis.training.decays import changed_decays, is_bias
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "decay-multiplier"
EXPERIMENT = "updates"
ORDER = 4


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The decays that the numbers show, of the weights alone and of all blobs."""
    trained = case.trained(recipe)
    weights = [blob for blob in trained if not is_bias(blob)]
    for some in (weights, trained) if len(weights) < len(trained) else (trained,):
        for wrong in changed_decays(case, recipe, some):
            blobs = list(wrong)
            wanted = {blob: case.caffe.decays[blob] for blob in blobs}
            yield Change(
                IDENTIFIER,
                sets(decays=wrong),
                f"Your weight decay is {table(wrong)}.",
                f"Caffe's is weight_decay {case.weight_decay:g} times decay_mult: {table(wanted)}.",
                f"weight_decay={wanted[blobs[0]]:g} in the group of {case.names(blobs)}",
                layers_of(blobs),
                case.names(blobs),
                {"port": wrong, "caffe": wanted},
            )
