"""The assertions that every comparison in the tests goes through."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from torchcaffe.layers._exactness import Exactness
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.compare import Sensitivity, compare


def assert_parity(
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    classes: Mapping[str, Exactness],
    sensitivities: Mapping[str, Sensitivity] | None = None,
) -> None:
    """Same names, and each pair of arrays within its class; comparing nothing fails."""
    assert theirs, "nothing to compare"
    missing, extra = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
    assert not missing and not extra, f"missing here: {missing}; not in the reference: {extra}"
    failed = []
    for name, expected in theirs.items():
        sensitivity = (sensitivities or {}).get(name)
        difference = compare(name, ours[name], expected, classes[name], sensitivity)
        if not difference.passed:
            failed.append(str(difference))
    assert not failed, "\n".join(failed)


def gradients(
    net: CaffeNet, run: Run, top_diffs: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Caffe's diffs after backward: ``diff/<blob>`` and ``pdiff/<layer>/<i>``, zeros where none."""
    objective = run.loss
    runs = {name for step in net.steps if step.needs.layer for name in step.tops}
    for name, diff in top_diffs.items():
        if name in runs:
            objective = objective + (run.blobs[name] * diff).sum()
    blobs = {f"diff/{name}": blob for name, blob in run.first.items()}
    params = {
        f"pdiff/{layer}/{index}": value
        for layer, values in net.params.items()
        for index, value in enumerate(values)
    }
    wanted = {name: value for name, value in {**blobs, **params}.items() if value.requires_grad}
    found: dict[str, torch.Tensor] = {}
    if objective.requires_grad and wanted:
        grads = torch.autograd.grad(objective, list(wanted.values()), allow_unused=True)
        found = {name: grad for name, grad in zip(wanted, grads, strict=True) if grad is not None}
    # A gradient put on a top whose layer runs no backward pass stays there and goes no further.
    found |= {f"diff/{name}": diff for name, diff in top_diffs.items() if name not in runs}
    return {
        name: found[name] if name in found else torch.zeros_like(value)
        for name, value in {**blobs, **params}.items()
    }


def to_numpy(values: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Detached arrays."""
    return {name: value.detach().cpu().numpy() for name, value in values.items()}


Measure = Callable[[CaffeNet, Run, dict[str, torch.Tensor]], dict[str, torch.Tensor]]
