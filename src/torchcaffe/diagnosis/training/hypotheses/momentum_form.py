"""momentum-form: the buffer holds gradients, and the rate is applied outside of it."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets_rule

IDENTIFIER = "momentum-form"
EXPERIMENT = "updates"
ORDER = 5


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """torch's SGD in place of Caffe's."""
    if recipe.rule.kind != "SGD" or not recipe.rule.momentum or not recipe.rule.rate_inside:
        return
    turns = 1 / (1 - recipe.rule.momentum) if recipe.rule.momentum < 1 else float("inf")
    yield Change(
        IDENTIFIER,
        sets_rule(rate_inside=False),
        f"Your {case.kind} keeps gradients in its momentum buffer (buf = mu*buf + g) and steps by "
        f"lr*buf: when the rate falls, the whole step falls at once.",
        "Caffe keeps steps in its history (h = mu*h + lr*g) and steps by h: after a fall of the "
        f"rate it still moves by the old one, fading over about {turns:.0f} iterations.",
        "torchcaffe.optim.SGD in place of torch.optim.SGD, or v = mu*v + lr*g; w -= v",
    )
