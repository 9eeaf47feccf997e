"""A net's gradients under Caffe's names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from torchcaffe.net import CaffeNet, Run


def gradients(net: CaffeNet, run: Run, top_diffs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Caffe's diffs after backward: ``diff/<blob>`` and ``pdiff/<layer>/<i>``, zeros where none.

    ``top_diffs`` are the gradients on outputs; losses add their own.
    """
    objective = run.loss
    for name, diff in top_diffs.items():
        objective = objective + (run.blobs[name] * diff).sum()
    values = {f"diff/{name}": blob for name, blob in run.first.items()}
    for layer, blobs in net.params.items():
        values |= {f"pdiff/{layer}/{index}": blob for index, blob in enumerate(blobs)}
    wanted = {name: value for name, value in values.items() if value.requires_grad}
    found: dict[str, Tensor | None] = {}
    if objective.requires_grad and wanted:
        grads = torch.autograd.grad(objective, list(wanted.values()), allow_unused=True)
        found = dict(zip(wanted, grads, strict=True))
    result = {}
    for name, value in values.items():
        grad = found.get(name)
        result[name] = torch.zeros_like(value) if grad is None else grad
    return result
