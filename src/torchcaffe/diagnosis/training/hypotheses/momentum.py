"""momentum: the momentum, or a decay of squared gradients, is another number."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from torchcaffe.diagnosis.training.cases import UpdateCase, differ, number
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets_rule
from torchcaffe.diagnosis.training.updates import predict

IDENTIFIER = "momentum"
EXPERIMENT = "updates"
ORDER = 9

HELD = {"momentum": ("momentum", "rho"), "rms_decay": ("alpha",)}


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """What the optimizer's groups hold, and what the second step shows."""
    for field, values in _candidates(case, recipe).items():
        now = getattr(recipe.rule, field)
        for value in dict.fromkeys(values):
            if not differ(value, now) or not 0 <= value < 1:
                continue
            yield Change(
                IDENTIFIER,
                sets_rule(**{field: value}),
                f"Your {field} is {number(value)}.",
                f"Caffe's is {number(now)}.",
                f"{case.kind}(...) with {field} {number(now)}",
                evidence={"port": value, "caffe": now, "field": field},
            )


def _candidates(case: UpdateCase, recipe: Recipe) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"momentum": [], "momentum2": [], "rms_decay": []}
    for field, names in HELD.items():
        for name in names:
            found[field] += [float(value) for value in case.setting(name)]
    for betas in case.setting("betas"):
        found["momentum"].append(float(betas[0]))
        found["momentum2"].append(float(betas[1]))
    if recipe.rule.kind in ("SGD", "Nesterov"):
        found["momentum"] += [0.0, *_shown(case, recipe)]
    relevant = {
        "Adam": ("momentum", "momentum2"),
        "RMSProp": ("rms_decay",),
        "AdaGrad": (),
    }.get(recipe.rule.kind, ("momentum",))
    return {field: found[field] for field in relevant}


def _shown(case: UpdateCase, recipe: Recipe) -> list[float]:
    """The second step without its own gradient is mu times the first, in plain SGD."""
    trained = case.trained(recipe)
    if not trained or recipe.rule.kind != "SGD":
        return []
    still = predict(case.trial, recipe.change_rule(momentum=0.0))
    steps = case.trial.steps()
    places = torch.cat(
        [torch.arange(case.trial.slices[b].start, case.trial.slices[b].stop) for b in trained]
    )
    carried, first = (steps[1] - still[1])[places], steps[0][places]
    value = float((carried * first).sum() / (first * first).sum().clamp(min=1e-300))
    return [float(f"{value:.6g}")]
