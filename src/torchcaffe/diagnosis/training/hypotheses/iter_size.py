"""iter-size: an update takes another number of batches, or their gradients are not averaged."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.gradients import GradientCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "iter-size"
EXPERIMENT = "gradients"
ORDER = 1


def propose(case: GradientCase, recipe: Recipe) -> Iterator[Change]:
    """As many batches as the port was seen to take, averaged and summed."""
    seen = case.trials[0].updates[0].batches
    caffe = case.caffe.iter_size
    for count in dict.fromkeys((seen, recipe.iter_size)):
        for averaged in (True, False):
            if (count, averaged) == (recipe.iter_size, recipe.averaged) or (
                count == 1 and not averaged
            ):
                continue
            how = "averages" if averaged or count == 1 else "sums, and does not divide,"
            yield Change(
                IDENTIFIER,
                sets(iter_size=count, averaged=averaged or count == 1),
                f"Your update {how} the gradients of {count} batch{'es' * (count > 1)}.",
                f"Caffe's iter_size is {caffe}: it averages those of {caffe}.",
                f"optimizer.step() after every {caffe} batches, each loss divided by {caffe}",
                evidence={"port": count, "caffe": caffe, "averaged": averaged},
            )
