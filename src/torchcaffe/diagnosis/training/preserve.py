"""A port is left as it was found: weights, modes, gradients, optimizer, scheduler, random state."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from torchcaffe.diagnosis.training.protocol import TrainingPort


@contextmanager
def preserved(
    port: TrainingPort, dtype: torch.dtype | None = None, *, weights: bool = True
) -> Iterator[None]:
    """Put everything back at the end; in between, the model may compute in another type.

    ``weights``  off where no update can be made, so that only buffers may change.
    """
    model = port.model
    tensors = [*model.parameters(), *model.buffers()]
    held = {id(param) for param in model.parameters()} if not weights else set()
    kept = [
        (tensor, tensor.data, None if id(tensor) in held else tensor.data.clone(), tensor.grad)
        for tensor in tensors
    ]
    wanted = [(param, param.requires_grad) for param in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    states = [(part, _state(part)) for part in (port.optimizer, port.scheduler) if part is not None]
    devices = [t.device.index or 0 for t in tensors[:1] if t.device.type == "cuda"]
    with torch.random.fork_rng(devices=devices):
        try:
            for tensor, *_ in kept:
                tensor.grad = None
                if dtype is not None and tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
            yield
        finally:
            for tensor, data, values, grad in kept:
                tensor.grad = None
                if values is not None:
                    data.copy_(values)
                tensor.data = data
                tensor.grad = grad
            for param, flag in wanted:
                param.requires_grad_(flag)
            for module, training in modes:
                module.training = training
            for part, state in states:
                _restore(part, state)


def _state(part: Any) -> dict[str, Any]:
    """An optimizer's or scheduler's own memory; the parameters in it stay themselves."""
    state = dict(vars(part))
    kept: dict[str, Any] = {"vars": state}
    if hasattr(part, "param_groups"):
        kept["groups"] = [
            {name: value if name == "params" else copy.deepcopy(value) for name, value in g.items()}
            for g in part.param_groups
        ]
        kept["state"] = [(param, copy.deepcopy(dict(value))) for param, value in part.state.items()]
    else:
        kept["plain"] = {
            name: copy.copy(value)
            for name, value in state.items()
            if isinstance(value, (int, float, str, list, dict, type(None)))
        }
    return kept


def _restore(part: Any, kept: dict[str, Any]) -> None:
    for name in set(vars(part)) - set(kept["vars"]):
        delattr(part, name)
    vars(part).update(kept["vars"])
    if "groups" in kept:
        for group, old in zip(part.param_groups, kept["groups"], strict=True):
            group.clear()
            group.update(old)
        part.state.clear()
        part.state.update(kept["state"])
    else:
        vars(part).update(kept["plain"])
