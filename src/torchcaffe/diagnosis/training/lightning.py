"""A Lightning module as a port's training, without a trainer and without importing Lightning."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from torchcaffe.diagnosis.training.protocol import TrainingPort
from torchcaffe.errors import InputError


def lightning(
    module: nn.Module,
    *,
    gradient_clip_val: float | None = None,
    gradient_clip_algorithm: str = "norm",
    accumulate_grad_batches: int = 1,
    **more: Any,
) -> TrainingPort:
    """What a Lightning trainer would do with ``module``, as a step that can be looked into.

    The three settings are the trainer's own; ``more`` are further members of ``TrainingPort``, such
    as ``loader`` or ``batch_size``. Only automatic optimization with one optimizer is known:
    InputError otherwise.
    """
    if getattr(module, "automatic_optimization", True) is False:
        raise InputError(
            "the Lightning module optimizes by hand (automatic_optimization is False); give a "
            "step(batch) that does what its training_step does"
        )
    optimizer, scheduler, interval = _configured(module)
    takes = len(inspect.signature(module.training_step).parameters)  # type: ignore[arg-type]
    done = 0

    def step(batch: Any) -> Any:
        nonlocal done
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's, about logging without a trainer
            found = module.training_step(*([batch, done][:takes]))  # type: ignore[operator]
        loss = found["loss"] if isinstance(found, Mapping) else found
        (loss / accumulate_grad_batches).backward()
        done += 1
        if done % accumulate_grad_batches == 0:
            _clip(module, gradient_clip_val, gradient_clip_algorithm)
            optimizer.step()
            optimizer.zero_grad()
            if scheduler is not None and interval == "iteration":
                scheduler.step()
        return loss

    return TrainingPort(
        model=module,
        optimizer=optimizer,
        scheduler=scheduler,
        scheduler_interval=interval,
        step=step,
        accumulate=accumulate_grad_batches,
        **more,
    )


def _clip(module: nn.Module, value: float | None, algorithm: str) -> None:
    if value is None:
        return
    if algorithm == "value":
        torch.nn.utils.clip_grad_value_(module.parameters(), value)
    else:
        torch.nn.utils.clip_grad_norm_(module.parameters(), value)


def _configured(module: nn.Module) -> tuple[Any, Any, str | None]:
    """The optimizer, the scheduler and its interval; Lightning's own is "epoch"."""
    found = module.configure_optimizers()  # type: ignore[operator]
    schedulers: Any = []
    if isinstance(found, Mapping):
        schedulers = [found["lr_scheduler"]] if "lr_scheduler" in found else []
        found = found["optimizer"]
    elif isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], list):
        found, schedulers = found
    if isinstance(found, (list, tuple)):
        if len(found) != 1:
            raise InputError(
                f"the Lightning module configures {len(found)} optimizers; a Caffe solver is one"
            )
        found = found[0]
    if not schedulers:
        return found, None, None
    chosen = schedulers[0]
    if isinstance(chosen, Mapping):
        return found, chosen["scheduler"], chosen.get("interval", "epoch")
    return found, chosen, "epoch"
