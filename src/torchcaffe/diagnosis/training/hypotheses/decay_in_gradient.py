"""bias-decay, or no difference at all: weight decay that is added to the loss or the gradients.

A penalty of decay/2 * |w|^2 in the loss gives the gradient that Caffe adds in its update.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.decays import is_bias
from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "bias-decay"
EXPERIMENT = "gradients"
ORDER = -1


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """Caffe's own decay in the gradients; and the same of biases that Caffe leaves out."""
    if recipe.decayed_by_hand or recipe.clip.form != "none" or not any(recipe.decays.values()):
        return
    yield Change(
        "decay-in-gradient",
        sets(decayed_by_hand=True),
        "Your weight decay is in the loss, or added to the gradients.",
        "Caffe adds it in the update: the numbers are the same.",
        "nothing",
        harmless=True,
    )
    decay = max(recipe.decays.values())
    biases = {blob: decay for blob in recipe.decays if is_bias(blob) and not recipe.decays[blob]}
    if biases:
        yield Change(
            IDENTIFIER,
            sets(decayed_by_hand=True, decays=biases),
            "The weight decay in your loss pulls at the biases.",
            "Caffe's decay_mult of these is 0: it leaves them out.",
            "leave biases out of the penalty",
            tuple(blob.rpartition("/")[0] for blob in biases),
            evidence={"port": biases, "caffe": dict.fromkeys(biases, 0.0)},
        )
