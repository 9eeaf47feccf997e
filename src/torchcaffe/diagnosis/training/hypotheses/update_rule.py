"""update-rule: the optimizer is of another kind than Caffe's solver."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.search import Change, sets_rule

IDENTIFIER = "update-rule"
EXPERIMENT = "updates"
ORDER = 10


def propose(case: UpdateCase, recipe: Recipe) -> Iterator[Change]:
    """Every other kind, with the settings that the optimizer's groups hold."""
    if recipe.rule.kind != case.caffe.rule.kind:
        return
    for kind, values in _kinds(case).items():
        if kind == recipe.rule.kind or {kind, recipe.rule.kind} == {"SGD", "Nesterov"}:
            continue
        yield Change(
            IDENTIFIER,
            sets_rule(kind=kind, **values),
            f"Your {case.kind} is a kind of {kind}.",
            f"Caffe's solver is of type {recipe.rule.kind}.",
            f"torchcaffe.optim.{recipe.rule.kind}",
        )


def _kinds(case: UpdateCase) -> dict[str, dict[str, object]]:
    def held(name: str, usual: float) -> float:
        return float((case.setting(name) or [usual])[0])

    beta1, beta2 = (case.setting("betas") or [(0.9, 0.999)])[0]
    eps = held("eps", 1e-8)
    plain = {"momentum": held("momentum", 0.0), "rate_inside": False}
    return {
        "SGD": plain,
        "Nesterov": plain,
        "Adam": {"momentum": beta1, "momentum2": beta2, "delta": eps, "epsilon": "corrected"},
        "RMSProp": {"rms_decay": held("alpha", 0.99), "delta": eps},
        "AdaGrad": {"delta": eps},
        "AdaDelta": {"momentum": held("rho", 0.9), "delta": eps},
    }
