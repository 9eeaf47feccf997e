"""nesterov-form: plain momentum for Nesterov's, or the rate outside of Nesterov's history."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets_rule

IDENTIFIER = "nesterov-form"
EXPERIMENT = "updates"
ORDER = 6


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """The other of SGD and Nesterov, and both with the rate outside."""
    rule = recipe.rule
    if rule.kind not in ("SGD", "Nesterov") or not rule.momentum:
        return
    other = "SGD" if rule.kind == "Nesterov" else "Nesterov"
    words = {"SGD": "plain momentum", "Nesterov": "Nesterov's look ahead"}
    fix = f"torchcaffe.optim.{case.caffe.rule.kind}, which is Caffe's rule step by step"
    if rule.kind == "Nesterov" and rule.rate_inside:
        yield Change(
            IDENTIFIER,
            sets_rule(rate_inside=False),
            f"Your {case.kind} keeps gradients in its buffer and steps by lr*(g + mu*buf).",
            "Caffe keeps steps in its history and moves by (1 + mu)*h_new - mu*h_old, so that a "
            "changed rate reaches only what is added.",
            fix,
        )
    for inside in (True, False) if rule.rate_inside else (False,):
        yield Change(
            IDENTIFIER,
            sets_rule(kind=other, rate_inside=inside),
            f"Your {case.kind} moves by {words[other]}.",
            f"Caffe's solver is of type {case.caffe.rule.kind}: {words[rule.kind]}.",
            fix,
        )
