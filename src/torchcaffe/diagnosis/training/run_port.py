"""Running a port's own training code, with the optimizer's step seen and not made."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchcaffe.diagnosis.training.dropouts import Dropouts
from torchcaffe.diagnosis.training.parameters import some
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.protocol import Batch, TrainingPort
from torchcaffe.diagnosis.training.reference import Reference, make_batch

Grads = dict[str, Tensor]

PATIENCE = 16
"""How often the last batch is given again to a step that has not made its update yet."""


@dataclass(frozen=True)
class Update:
    """The gradients that an update was made with, and how many batches had been seen by then."""

    batches: int
    grads: Grads
    loss: float | None


class Runner:
    """Feeds a port as its training loop would."""

    def __init__(self, port: TrainingPort, reference: Reference) -> None:
        self.port, self.reference = port, reference
        self.dtype = torch.float64
        """What the port computes in: float32 if its code takes no other."""

    @property
    def steps(self) -> bool:
        """Whether the port's own step can be looked into."""
        return self.port.step is not None and self.port.optimizer is not None

    @property
    def runs(self) -> bool:
        """Whether there is a way from a batch to gradients."""
        return self.steps or self.port.loss is not None

    def batch(self, inputs: Mapping[str, Tensor]) -> Batch:
        """A batch as the port's code has it: labels whole numbers, no axes of size 1 at the end."""
        like = next(self.port.model.parameters())
        found = {}
        for name, value in inputs.items():
            if name in self.reference.labels and self.reference.labels[name][0] > 2:
                value = value.reshape(_label_shape(value)).to(like.device).long()
            else:
                value = value.to(like)
                if name in self.reference.targets:
                    value = value.reshape(_target_shape(value))
            found[name] = value
        return Batch.of(found)

    def forward(self, inputs: Mapping[str, Tensor]) -> Any:
        """The model's output."""
        batch = self.batch(inputs)
        data = [name for name in batch.names if name not in self.reference.targets]
        names = _parameters(self.port.model)
        if set(data) <= set(names):
            return self.port.model(**{name: batch[name] for name in data})
        return self.port.model(*(batch[name] for name in data))

    def called(self) -> list[str]:
        """The port's modules in the order in which a forward pass calls them; empty if it fails."""
        found: list[str] = []

        def note(name: str) -> Any:
            return lambda *_: found.append(name)

        model = self.port.model
        hooks = [m.register_forward_pre_hook(note(name)) for name, m in model.named_modules()]
        try:
            with preserved(self.port), torch.no_grad():
                size = self.reference.trial_size()
                self.forward(make_batch(self.reference, size, 0))
        except Exception:  # said later, where the pass is needed
            return []
        finally:
            for hook in hooks:
                hook.remove()
        return found

    def same_output(self) -> bool:
        """Whether a blob of the reference, with the port's weights, is the port's output."""
        batch = make_batch(self.reference, self.reference.trial_size(), 0)
        with preserved(self.port, torch.float64), Dropouts(), torch.no_grad():
            net = self.reference.build({}, next(iter(batch.values())).shape[0])
            self.reference.carry(self.port.model, net)
            found = self.forward(batch)
            blobs = net.run({name: batch[name] for name in net.inputs}).blobs.values()
        output = next((value for value in _tensors(found)), None)
        return output is not None and any(
            blob.numel() == output.numel()
            and torch.allclose(blob.reshape(-1), output.reshape(-1).cpu(), rtol=1e-5, atol=1e-9)
            for blob in blobs
        )

    def loss(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, where the port gives its loss."""
        assert self.port.loss is not None
        batch = self.batch(inputs)
        return self.port.loss(
            self.forward(inputs), *(batch[name] for name in self.reference.targets)
        )

    def updates(
        self,
        batches: Sequence[Mapping[str, Tensor]],
        most: int,
        after_first: Callable[[], None] = lambda: None,
    ) -> list[Update]:
        """The gradients of ``most`` updates; no weight is changed.

        A step of the port's own may make an update of several batches, and count them: it is always
        brought to the end of an update, with the last batch again and again if need be.
        ``after_first`` is called when the first batch is done.
        """
        if self.steps:
            return self._own_steps(batches, most, after_first)
        self.port.model.train()
        found = []
        for number, inputs in enumerate(batches[:most]):
            self.port.model.zero_grad()
            loss = self.loss(inputs)
            loss.backward()  # type: ignore[no-untyped-call]
            if self.port.clip is not None:
                self.port.clip([p for p in self.port.model.parameters() if p.grad is not None])
            found.append(Update(number + 1, self.grads(), float(loss.detach())))
            if not number:
                after_first()
        self.port.model.zero_grad()
        return found

    def _own_steps(
        self, batches: Sequence[Mapping[str, Tensor]], most: int, after_first: Callable[[], None]
    ) -> list[Update]:
        port, found, seen = self.port, [], 0
        assert port.step is not None

        def step(closure: Any = None, *_: Any, **__: Any) -> Any:
            loss = closure() if closure is not None else None
            found.append(Update(seen, self.grads(), None))
            return loss

        # The marks by which torch's schedulers know that steps were made.
        vars(step)["_wrapped_by_lr_sched"] = True
        vars(port.optimizer).update({"step": step, "_opt_called": True})
        for inputs in [*batches, *[batches[-1]] * PATIENCE]:
            seen += 1
            self.one_step(inputs)
            if seen == 1:
                after_first()
            if len(found) >= most:
                break
        return found

    def rates(self, inputs: Mapping[str, Tensor], count: int, seconds: float) -> list[float]:
        """The rate that each of ``count`` updates is made with; fewer if that takes too long."""
        found: list[float] = []
        optimizer, start = self.port.optimizer, time.perf_counter()
        assert optimizer is not None
        group = next((g for g in optimizer.param_groups if g.get("lr")), {"lr": 0.0})

        def step(*_: Any, **__: Any) -> None:
            found.append(float(group["lr"]))

        vars(step)["_wrapped_by_lr_sched"] = True
        vars(optimizer).update({"step": step, "_opt_called": True})
        while len(found) < count and time.perf_counter() - start < seconds:
            self.one_step(inputs)
        return found

    def one_step(self, inputs: Mapping[str, Tensor]) -> float | None:
        """The port's own step on one batch; its loss, if it says so."""
        assert self.port.step is not None
        batch: Any = self.batch(inputs)
        loss = self.port.step(self.port.to_batch(batch) if self.port.to_batch else batch)
        if isinstance(loss, Tensor):
            return float(loss.detach()) if loss.numel() == 1 else None
        return float(loss) if isinstance(loss, (int, float)) else None

    def grads(self) -> Grads:
        """The gradients as they stand, in Caffe's layout, by blob."""
        params = dict(self.port.model.named_parameters())
        found = {}
        for pair in self.reference.pairs:
            grad = params[pair.name].grad
            if grad is not None and params[pair.name].requires_grad:
                step = self.reference.step_of(grad)
                found[pair.blob] = some(pair.to_caffe(grad.detach()), step).double().cpu()
        return found


def _tensors(found: Any) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, Mapping):
        for value in found.values():
            yield from _tensors(value)
    elif isinstance(found, (tuple, list)):
        for value in found:
            yield from _tensors(value)


def _parameters(model: torch.nn.Module) -> list[str]:
    try:
        return list(inspect.signature(model.forward).parameters)
    except (TypeError, ValueError):
        return []


def _label_shape(value: Tensor) -> tuple[int, ...]:
    """(N, 1, ...) as (N, ...): torch's losses have no channel axis in labels."""
    shape = tuple(value.shape)
    return (shape[0], *(shape[2:] if len(shape) > 2 and shape[1] == 1 else shape[1:]))[
        : 1 if value.numel() == shape[0] else None
    ]


def _target_shape(value: Tensor) -> tuple[int, ...]:
    shape = tuple(value.shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape
