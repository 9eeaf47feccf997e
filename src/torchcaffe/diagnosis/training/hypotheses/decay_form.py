"""decay-form: weight decay beside the step (decoupled), or of another norm."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets_rule

IDENTIFIER = "decay-form"
EXPERIMENT = "updates"
ORDER = 7

FORMS = {
    "decoupled": "takes lr*decay*w off the weights beside the step, as AdamW does",
    "L2": "adds decay*w to the gradient",
    "L1": "adds decay*sign(w) to the gradient",
}


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The other forms of decay."""
    if not any(recipe.decays.values()):
        return
    for form, words in FORMS.items():
        if form != recipe.rule.decay_form:
            yield Change(
                IDENTIFIER,
                sets_rule(decay_form=form),
                f"Your {case.kind} {words}.",
                f"Caffe {FORMS[case.caffe.rule.decay_form]} before the rule sees it, whatever the "
                f"rule: the decay goes through momentum and through what gradients are divided by.",
                f"torchcaffe.optim.{case.caffe.rule.kind}, or an optimizer whose weight_decay is "
                f"added to the gradient (Adam for AdamW)",
            )
