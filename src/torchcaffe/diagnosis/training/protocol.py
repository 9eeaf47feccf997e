"""What a person may give of their training, and how it is read from what their callable returns.

Everything but the model is optional; what is not given is not compared, and the report says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from torchcaffe.errors import InputError
from torchcaffe.proto.suggest import did_you_mean

INTERVALS = {"iteration": "iteration", "step": "iteration", "epoch": "epoch"}


@dataclass
class TrainingPort:
    """A port's training, as far as it is given.

    model
        the ``nn.Module``.
    optimizer, scheduler
        torch's, or anything that steps as they do (``param_groups``, ``step()``).
    scheduler_interval
        after what the scheduler is stepped: "iteration" or "epoch".
    loss
        ``loss(output, target)``: the model's output and those of the net's inputs that only the
        loss reads, in the net's order.
    step
        ``step(batch)``: one batch as the training loop has it, from zeroing gradients to the
        update, or what it does of them. ``batch`` unpacks as the net's inputs in their order, and
        ``batch["name"]`` is one of them.
    to_batch
        makes of a ``batch`` what ``step`` takes, if it takes something else.
    clip
        ``clip(parameters)`` is called before the update where there is no ``step``.
    dataset, reference_dataset
        samples whose statistics are compared: the port's, and those of a reference sampler.
    batch_size, iterations_per_epoch
        taken from ``loader`` (its ``batch_size`` and ``len``) if not given.
    accumulate
        how many batches make an update, where there is no ``step`` to see it from.
    """

    model: nn.Module
    optimizer: Optimizer | None = None
    scheduler: Any = None
    scheduler_interval: str | None = None
    loss: Callable[..., Tensor] | None = None
    step: Callable[[Any], Any] | None = None
    to_batch: Callable[[Batch], Any] | None = None
    clip: Callable[[Sequence[Tensor]], Any] | None = None
    dataset: Any = None
    reference_dataset: Any = None
    loader: Any = None
    batch_size: int | None = None
    iterations_per_epoch: int | None = None
    accumulate: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise InputError(
                f"the port's model must be an nn.Module, got {type(self.model).__name__}"
            )
        if self.scheduler_interval not in (None, *INTERVALS):
            raise InputError(
                f'scheduler_interval takes "iteration" or "epoch", got "{self.scheduler_interval}"'
            )
        if self.scheduler_interval:
            self.scheduler_interval = INTERVALS[self.scheduler_interval]
        if self.loader is not None:
            self.batch_size = self.batch_size or getattr(self.loader, "batch_size", None)
            self.iterations_per_epoch = self.iterations_per_epoch or _length(self.loader)
            self.dataset = self.dataset or getattr(self.loader, "dataset", None)


class Batch(tuple[Tensor, ...]):
    """The net's inputs for one pass: unpacks in the net's order, and looks up by name."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, inputs: Mapping[str, Tensor]) -> Batch:
        """A batch of named tensors."""
        made = cls(inputs.values())
        made.names = tuple(inputs)
        return made

    def __getitem__(self, key: Any) -> Any:
        """By place, or by the net's name."""
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


FIELDS = tuple(field.name for field in dataclasses.fields(TrainingPort))


def training_port(given: Any) -> TrainingPort:
    """The training that a port's callable returned: see ``TrainingPort`` for its members.

    given  a TrainingPort; an nn.Module; a Lightning module; a mapping or an object with those
           names; a tuple of a module, an optimizer, a scheduler and a loss, told by their types.
    Raises InputError for anything else, and for names in a mapping that it does not know.
    """
    if isinstance(given, TrainingPort):
        return given
    if isinstance(given, nn.Module) and not hasattr(given, "model"):
        if is_lightning(given):
            from torchcaffe.diagnosis.training.lightning import lightning

            return lightning(given)
        return TrainingPort(given)
    if isinstance(given, Mapping):
        return _from_mapping(given)
    if isinstance(given, tuple) and not hasattr(given, "_fields"):
        return _from_tuple(given)
    found = {name: getattr(given, name) for name in FIELDS if hasattr(given, name)}
    if isinstance(found.get("model"), nn.Module):
        return TrainingPort(**found)
    if isinstance(given, nn.Module):
        return TrainingPort(given)
    raise InputError(
        f"a port gives an nn.Module, or an object, mapping or tuple with one as its model; "
        f"got {type(given).__name__}"
    )


def is_lightning(module: nn.Module) -> bool:
    """Whether a module has the two methods that a Lightning trainer calls."""
    return callable(getattr(module, "training_step", None)) and callable(
        getattr(module, "configure_optimizers", None)
    )


def _from_mapping(given: Mapping[str, Any]) -> TrainingPort:
    for name in given:
        if name not in FIELDS:
            hint = did_you_mean(str(name), FIELDS) or f". It may give {', '.join(FIELDS)}."
            raise InputError(f'the port gives "{name}", which is no part of a training{hint}')
    if "model" not in given:
        raise InputError(f'the port gives {", ".join(given) or "nothing"}, but no "model"')
    return TrainingPort(**given)


def _from_tuple(given: tuple[Any, ...]) -> TrainingPort:
    found: dict[str, Any] = {}
    for value in given:
        name = _kind(value, found)
        if name in found:
            raise InputError(
                f"the port's tuple gives two of what looks like its {name}; give a dict with names"
            )
        found[name] = value
    return _from_mapping(found)


def _kind(value: Any, found: Mapping[str, Any]) -> str:
    if isinstance(value, nn.Module):
        return "loss" if "model" in found else "model"
    if isinstance(value, Optimizer):
        return "optimizer"
    if hasattr(value, "get_last_lr") or hasattr(value, "last_epoch"):
        return "scheduler"
    if hasattr(value, "batch_size"):
        return "loader"
    return "loss" if callable(value) else type(value).__name__


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:
        return None
