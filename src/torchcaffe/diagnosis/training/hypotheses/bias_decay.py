"""bias-decay: biases decay where Caffe's do not, or the other way around."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.decays import changed_decays, is_bias
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "bias-decay"
EXPERIMENT = "updates"
ORDER = 3


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The decays of biases that either side has and the other does not."""
    biases = [blob for blob in case.trained(recipe) if is_bias(blob)]
    for wrong in changed_decays(case, recipe, biases):
        wrong = {b: d for b, d in wrong.items() if bool(d) != bool(recipe.decays[b])}
        if not wrong:
            continue
        on = any(wrong.values())
        yield Change(
            IDENTIFIER,
            sets(decays=wrong),
            f"Your weight decay {'pulls at' if on else 'leaves out'} the biases "
            f"{case.names(list(wrong))}.",
            f"Caffe's decay_mult of these is {0 if on else 1:g}: it "
            f"{'leaves them out' if on else 'decays them like the weights'}.",
            f"put {case.names(list(wrong))} into parameter groups with weight_decay="
            f"{0 if on else case.weight_decay:g}",
            tuple(blob.rpartition("/")[0] for blob in wrong),
            case.names(list(wrong)),
            {"port": wrong, "caffe": {blob: case.caffe.decays[blob] for blob in wrong}},
        )
