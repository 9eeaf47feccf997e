"""A net's gradients under Caffe's names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from torchcaffe.net import CaffeNet, Run

UNASKED = ("BatchNorm", "Im2col")
"""Types whose backward pass writes its bottoms' gradients also where nobody needs them."""


def gradients(net: CaffeNet, run: Run, top_diffs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Caffe's diffs after backward: ``diff/<blob>`` and ``pdiff/<layer>/<i>``, zeros where none.

    ``top_diffs`` are the gradients on outputs; losses add their own. One put on a top whose layer
    runs no backward pass stays there and goes no further.
    """
    runs = {name for step in net.steps if step.needs.layer for name in step.tops}
    objective = run.loss
    for name, diff in top_diffs.items():
        if name in runs:
            objective = objective + (run.blobs[name] * diff).sum()
    values = {f"diff/{name}": blob for name, blob in run.first.items()}
    owners: dict[str, Tensor] = {}
    params = net.params
    for layer, blobs in params.items():
        for index, blob in enumerate(blobs):
            owner, owner_index = net.owner(layer, index)
            values[f"pdiff/{layer}/{index}"] = blob
            owners[f"pdiff/{layer}/{index}"] = params[owner][owner_index]
    written = _written(net) | {f"diff/{name}" for name in top_diffs}
    wanted = {
        name: owners.get(name, value)
        for name, value in values.items()
        if name in written and owners.get(name, value).requires_grad
    }
    found: dict[str, Tensor | None] = {}
    if objective.requires_grad and wanted:
        grads = torch.autograd.grad(objective, list(wanted.values()), allow_unused=True)
        found = dict(zip(wanted, grads, strict=True))
    found |= {f"diff/{name}": diff for name, diff in top_diffs.items() if name not in runs}
    result = {}
    for name, value in values.items():
        grad = found.get(name)
        result[name] = torch.zeros_like(value) if grad is None else grad.view(value.shape)
    return result


def _written(net: CaffeNet) -> set[str]:
    """The diffs that some layer's backward pass, or a loss weight, writes."""
    names: set[str] = set()
    for step in net.steps:
        weights = zip(step.tops, step.loss_weights, strict=True)
        names |= {f"diff/{name}" for name, weight in weights if weight}
        if not step.needs.layer:
            continue
        needed = zip(step.bottoms, step.needs.bottoms, strict=True)
        asked = step.kind.name in UNASKED
        names |= {f"diff/{name}" for name, need in needed if need or asked}
        params = enumerate(step.needs.params)
        names |= {f"pdiff/{step.name}/{index}" for index, need in params if need}
    shared = {
        f"pdiff/{layer}/{index}": "pdiff/{}/{}".format(*net.owner(layer, index))
        for layer, blobs in net.params.items()
        for index in range(len(blobs))
    }
    owned = {shared[name] for name in names if name in shared}
    return names | {name for name, owner in shared.items() if owner in owned}
