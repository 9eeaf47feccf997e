"""clip-order: gradients are clipped at another place, in another way, or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import Clip, Recipe
from torchcaffe.diagnosis.training.run_port import Grads
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "clip-order"
EXPERIMENT = "gradients"
ORDER = 0

WORDS = {
    "sum": "clips the sum over the batches of an update, before it is divided",
    "mean": "clips the average over the batches of an update",
    "each": "clips each batch's gradient before they are added",
    "blob": "clips each parameter's gradient by its own norm",
    "value": "clips each number of the gradients by itself",
    "decayed": "adds weight decay first and clips what comes out",
    "none": "does not clip",
}


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """The other forms at Caffe's threshold; if Caffe clips nothing, at those that are seen."""
    if recipe.clip != case.caffe.clip:
        return
    caffe = case.caffe.clip
    thresholds = [caffe.threshold] if caffe.threshold >= 0 else []
    for trial in case.trials:
        for update in trial.updates[:1]:
            thresholds += [_norm(update.grads), _largest(update.grads)]
    thresholds = list(dict.fromkeys(float(f"{value:.5g}") for value in thresholds))
    for threshold in thresholds:
        for form in ("mean", "each", "blob", "value", "decayed", "sum", "none"):
            clip = Clip(form, threshold if form != "none" else -1.0)
            if clip != caffe:
                yield _change(case, clip)


def _change(case: GradientCase, clip: Clip) -> Change:
    caffe = case.caffe.clip
    at = f" at {clip.threshold:g}" if clip.form != "none" else ""
    theirs = f" at {caffe.threshold:g}" if caffe.form != "none" else ""

    return Change(
        IDENTIFIER,
        sets(clip=clip, decayed_by_hand=clip.form == "decayed"),
        f"Your training {WORDS[clip.form]}{at}.",
        f"Caffe {WORDS[caffe.form]}{theirs}; weight decay is added after that.",
        f"before optimizer.step(), with the gradients of all batches added up and not yet divided: "
        f"clip_grad_norm_(model.parameters(), {caffe.threshold:g})"
        if caffe.form != "none"
        else "no clipping",
        evidence={"port": clip.form, "caffe": caffe.form, "threshold": clip.threshold},
    )


def _norm(grads: Grads) -> float:
    return math.sqrt(sum(float(grad.square().sum()) for grad in grads.values()))


def _largest(grads: Grads) -> float:
    return max((float(grad.abs().max()) for grad in grads.values()), default=0.0)
