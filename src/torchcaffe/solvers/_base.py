"""What Caffe's update rules share: everything but the formula."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchcaffe.errors import SolverError
from torchcaffe.solvers._single import single
from torchcaffe.solvers.clip import Clipped, clip
from torchcaffe.solvers.regularise import check_kind, regularised

PIECE = 1 << 18
"""Elements that are updated at a time on the CPU, so that what is computed stays in its cache."""

Tensors = list[Tensor]
Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


@dataclass(frozen=True)
class Part:
    """Parameters that are updated together, with their gradients and one list per history."""

    weights: Tensors
    grads: Tensors
    histories: list[Tensors]


class CaffeOptimizer(Optimizer):
    """A ``torch.optim.Optimizer`` that updates as a Caffe solver does.

    A step is, for the gradients g of all parameters together and then for each parameter w::

        g = g * (clip_gradients / |g|)    if clip_gradients >= 0 and |g| is larger
        g = g / iter_size                 if iter_size is not 1
        g = g + d * w                     d = weight_decay * decay_mult; L1: g + d * sign(w)
        value = rule(g, rate)             rate = lr * lr_mult; the rule is the subclass's
        w = w - value

    in the parameters' type, each operation rounded, all settings held as float32. A parameter
    without a gradient is updated as one whose gradient is 0: its decay and momentum go on.
    Gradients are read, not changed.

    params
        tensors, named tensors or groups, as in torch. A group may set, beside the settings below,
        ``lr_mult`` and ``decay_mult``; ``torchcaffe.optim.param_groups`` takes them from a net.
    lr
        Caffe's base_lr, or whatever a scheduler sets. It is read at every step.
    weight_decay, regularization_type
        how much of w ("L2") or of its sign ("L1") is added to the gradient.
    clip_gradients
        the longest that all gradients together may be; negative: any.
    iter_size
        of how many batches the gradients are the sum.

    Raises SolverError for settings that Caffe refuses.
    """

    histories: ClassVar[tuple[str, ...]] = ("history",)
    """The names in ``state`` of what the rule keeps for each parameter, in Caffe's order."""

    def __init__(
        self,
        params: Params,
        lr: float,
        *,
        weight_decay: float = 0.0,
        regularization_type: str = "L2",
        clip_gradients: float = -1.0,
        iter_size: int = 1,
        **rule: float,
    ) -> None:
        if iter_size < 1:
            raise SolverError(f"iter_size is how many batches make a step, at least 1: {iter_size}")
        self.rule = tuple(rule)
        self.clip_gradients = clip_gradients
        self.iter_size = iter_size
        self.clipped: Clipped | None = None
        """What the latest step's clipping did, None if nothing."""
        self.updates: dict[Tensor, Tensor] | None = None
        """What the latest step subtracted from each parameter, if it was a dictionary before."""
        defaults = {
            "lr": lr,
            "lr_mult": 1.0,
            "decay_mult": 1.0,
            "weight_decay": weight_decay,
            "regularization_type": check_kind(regularization_type),
            "iter": 0,
            **rule,
        }
        super().__init__(params, defaults)

    def update(
        self, grads: Tensors, histories: list[Tensors], rate: float, group: dict[str, Any]
    ) -> Tensors:
        """What to subtract from the weights; ``histories`` are brought up to date.

        ``group`` holds the rule's own settings, rounded to float32, and ``iter``, the number of
        steps done before this one.
        """
        raise NotImplementedError

    def remembers(self, group: dict[str, Any], params: Tensors) -> bool:
        """Whether the step needs the histories of ``params``; ``update`` gets none otherwise."""
        del group, params
        return True

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters once; ``closure`` recomputes the loss, as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        grads = {
            param: _gradient(param) for group in self.param_groups for param in group["params"]
        }
        self.clipped = clip(list(grads.values()), single(self.clip_gradients))
        for settings, params in self._buckets():
            histories = self._histories(params) if self.remembers(settings, params) else []
            wanted = [grads[param] for param in params]
            for part in _parts(params, wanted, histories, whole=self.updates is not None):
                values = self._update_part(part, settings)
                if self.updates is not None:
                    self.updates |= zip(part.weights, values, strict=True)
        for group in self.param_groups:
            group["iter"] += 1
        return loss

    def _update_part(self, part: Part, settings: dict[str, Any]) -> Tensors:
        grads = part.grads
        if self.clipped is not None:
            grads = list(torch._foreach_mul(grads, self.clipped.scale))
        if self.iter_size != 1:
            grads = list(torch._foreach_mul(grads, single(1 / self.iter_size)))
        grads = list(
            regularised(grads, part.weights, settings["decay"], settings["regularization_type"])
        )
        values = self.update(grads, part.histories, settings["rate"], settings)
        torch._foreach_sub_(part.weights, values)
        return values

    def _buckets(self) -> Iterator[tuple[dict[str, Any], Tensors]]:
        """The parameters that share all settings, device and type, in the groups' order."""
        buckets: dict[tuple[Any, ...], Tensors] = {}
        names = ("rate", "decay", "regularization_type", "iter", *self.rule)
        for group in self.param_groups:
            rate = single(single(group["lr"]) * single(group["lr_mult"]))
            decay = single(single(group["weight_decay"]) * single(group["decay_mult"]))
            rule = [single(group[name]) for name in self.rule]
            values = (rate, decay, group["regularization_type"], group["iter"], *rule)
            for param in group["params"]:
                buckets.setdefault((values, param.device, param.dtype), []).append(param)
        for (values, _, _), params in buckets.items():
            yield dict(zip(names, values, strict=True)), params

    def _histories(self, params: Sequence[Tensor]) -> list[Tensors]:
        for param in params:
            state = self.state[param]
            for name in self.histories:
                if name not in state:
                    state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return [[self.state[param][name] for param in params] for name in self.histories]

    def history(self, params: Sequence[Tensor]) -> Tensors:
        """The histories of ``params`` in Caffe's order: all of the first kind, then the second."""
        return [value for values in self._histories(params) for value in values]


def _gradient(param: Tensor) -> Tensor:
    if param.grad is None:
        return torch.zeros_like(param, memory_format=torch.preserve_format)
    if param.grad.is_sparse:
        raise SolverError(
            "Caffe's update rules take dense gradients, got a sparse one; make the embedding with "
            "sparse=False"
        )
    return param.grad


def _parts(
    weights: Tensors, grads: Tensors, histories: list[Tensors], *, whole: bool
) -> Iterator[Part]:
    """All at once on a GPU, where every operation has to be started; in pieces on the CPU."""
    if whole or weights[0].device.type != "cpu":
        yield Part(weights, grads, histories)
        return
    columns: list[Tensors] = []
    size = 0
    for column in zip(weights, grads, *histories, strict=True):
        for piece in _pieces(column):
            if columns and size + piece[0].numel() > PIECE:
                yield _part(columns)
                columns, size = [], 0
            columns.append(piece)
            size += piece[0].numel()
    if columns:
        yield _part(columns)


def _pieces(column: Sequence[Tensor]) -> Iterator[Tensors]:
    """A parameter and what belongs to it, cut into views if it is large."""
    if column[0].numel() <= PIECE or not all(tensor.is_contiguous() for tensor in column):
        yield list(column)
        return
    flat = [tensor.view(-1) for tensor in column]
    for start in range(0, column[0].numel(), PIECE):
        yield [tensor[start : start + PIECE] for tensor in flat]


def _part(columns: Sequence[Tensors]) -> Part:
    weights, grads, *histories = (list(row) for row in zip(*columns, strict=True))
    return Part(weights, grads, histories)
