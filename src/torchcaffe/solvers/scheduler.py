"""Caffe's learning rate policies as a torch scheduler that is stepped once an iteration."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from torchcaffe.errors import SolverError
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.lr_policy import FIELDS, check_policy, learning_rate


class CaffeLR(LRScheduler):
    """A policy of Caffe's, for any optimizer.

    ``step()`` follows each update, not each epoch::

        scheduler = CaffeLR(optimizer, "multistep", gamma=0.1, stepvalue=[5000, 7000])

    lr_policy and the fields are those of a solver prototxt; the optimizer's own lr is base_lr. The
    rates are those of Caffe to the last bit. Raises SolverError for a policy that Caffe does not
    know, and for fields that are missing or that the policy does not read.

    torch  StepLR, ExponentialLR, MultiStepLR and PolynomialLR multiply the last rate by a factor,
           and their rounding errors grow; LambdaLR with the formula is the same up to rounding.
           None of them has ``inv`` or ``sigmoid``.
    """

    def __init__(
        self, optimizer: Optimizer, lr_policy: str, *, last_epoch: int = -1, **fields: Any
    ) -> None:
        check_policy(_solver(lr_policy, 1.0, fields))
        self.lr_policy, self.fields = lr_policy, fields
        self.current_step = 0
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:  # type: ignore[override]
        """The rate of each group for the iteration that comes next."""
        rates = []
        step = self.current_step
        for base_lr in self.base_lrs:
            solver = _solver(self.lr_policy, float(base_lr), self.fields)
            rate, self.current_step = learning_rate(solver, self.last_epoch, step)
            rates.append(rate)
        return rates


def _solver(lr_policy: str, base_lr: float, fields: dict[str, Any]) -> SolverParameter:
    unread = set(fields) - set(FIELDS.get(lr_policy, fields))
    if unread:
        raise SolverError(
            f'lr_policy "{lr_policy}" takes {", ".join(FIELDS[lr_policy]) or "no fields"}; '
            f"got {', '.join(sorted(unread))}"
        )
    known = {name: value for name, value in fields.items() if name in SolverParameter.fields}
    return SolverParameter(lr_policy=lr_policy, base_lr=base_lr, **known)
