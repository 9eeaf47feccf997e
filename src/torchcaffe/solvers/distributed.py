"""Several processes that train together, as Caffe's several GPUs do.

Each has the whole batch size and its own records, gradients are averaged, and every process makes
the same update. Nothing else is shared: BatchNorm's statistics and the displayed loss are a
process's own, and those of rank 0 are tested, saved and shown.

Caffe: ``src/caffe/parallel.cpp``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from torchcaffe.errors import InputError, SolverError
from torchcaffe.solvers._single import single

if TYPE_CHECKING:
    from torchcaffe.solvers.solver import Solver

PATIENCE = timedelta(hours=2)
"""How long ranks wait for one that neither answers nor ends, such as rank 0 while it tests."""


TOGETHER = (
    "max_iter",
    "iter_size",
    "layer_wise_reduce",
    "test_interval",
    "test_initialization",
    "snapshot",
    "snapshot_format",
)
"""Settings that say when the ranks meet."""


class Ranks:
    """The processes of a run: their number, and which of them this one is.

    Alone unless told otherwise; ``joined`` makes the one that torchrun has started. What is called
    here, all ranks call, in the same order. Raises SolverError if a rank cannot be reached.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: str | torch.device = "cpu") -> None:
        if not 0 <= rank < size:
            raise InputError(f"a rank lies between 0 and {size - 1}, got {rank}")
        self.rank, self.size, self.device = rank, size, torch.device(device)

    @property
    def leads(self) -> bool:
        """Whether this is the one that tests, writes snapshots and tells of the run."""
        return self.rank == 0

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Make the tensors of all ranks those of rank 0."""
        if self.size == 1:
            return
        with self._together(), torch.no_grad():
            for tensor in tensors:
                whole = tensor.detach().contiguous()
                dist.broadcast(whole, 0)
                tensor.copy_(whole)

    def average(self, params: Sequence[Tensor]) -> None:
        """Make each gradient the mean of all ranks': their sum, times 1/N rounded to float32.

        A parameter that got no gradient takes part with 0, so that all ranks send the same; one
        that is frozen does not.
        """
        params = [param for param in params if param.requires_grad]
        if self.size == 1 or not params:
            return
        for param in params:
            grad = torch.zeros_like(param) if param.grad is None else param.grad
            param.grad = grad.contiguous()
        grads = [param.grad for param in params if param.grad is not None]
        with self._together():
            for work in [dist.all_reduce(grad, async_op=True) for grad in grads]:
                work.wait()
        torch._foreach_mul_(grads, single(1 / self.size))

    def highest(self, *numbers: int) -> list[int]:
        """Of each number the highest that a rank gives."""
        if self.size == 1:
            return list(numbers)
        values = torch.tensor(numbers, device=self.device)
        with self._together():
            dist.all_reduce(values, dist.ReduceOp.MAX)
            return [int(value) for value in values.tolist()]

    def gathered(self, value: Any) -> list[Any]:
        """On rank 0 the values of all ranks; elsewhere nothing."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.leads else None
        with self._together():
            dist.gather_object(value, values, 0)
        return values or []

    def same(self, what: str, value: Any) -> None:
        """Raise SolverError on all ranks unless they all have the same value."""
        if self.size == 1:
            return
        values: list[Any] = [None] * self.size
        with self._together():
            dist.all_gather_object(values, value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise SolverError(
                    f"rank {rank} has another {what} than rank 0: {other} and {values[0]}. Start "
                    f"all processes with the same files and options"
                )

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise SolverError(
                f"rank {self.rank} of {self.size} goes no further: another process of the run has "
                f"ended or cannot be reached; what that one printed says why ({reason})"
            ) from error


@contextmanager
def joined(device: str | torch.device = "cpu") -> Iterator[Ranks]:
    """Take part in the run that torchrun has started; alone where it has started none.

    device
        what this process computes on: a GPU of its own, and NCCL connects the ranks, or the CPU,
        and gloo does.
    """
    device = torch.device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(device=device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    yield Ranks(dist.get_rank(), size, device)
    # Only after a run that went well: a rank that failed must end at once, for the others to see.
    dist.barrier()
    dist.destroy_process_group()


def begin_together(solver: Solver) -> None:
    """Begin from rank 0's weights, each rank with its own records."""
    ranks, param = solver.ranks, solver.param
    if ranks.size == 1:
        return
    shapes = {f"{e.layer}/{e.index}": tuple(e.value.shape) for e in solver.learnable}
    ranks.same("parameters", shapes)
    ranks.same(f"solver ({', '.join(TOGETHER)})", [getattr(param, name) for name in TOGETHER])
    blobs = sum(len(blobs) for blobs in solver.net.params.values())
    if param.layer_wise_reduce and blobs != len(solver.learnable):
        raise SolverError(
            "layers of the net share parameters, whose gradients are whole only after the backward "
            "pass; set layer_wise_reduce: false, as Caffe asks for with several GPUs"
        )
    for layer in solver.net.data_layers.values():
        layer.deal(ranks.rank, ranks.size)
    ranks.broadcast([entry.value for entry in solver.learnable])
    if ranks.leads:
        # Caffe draws a seed for the thread of each other rank.
        solver.stream.raw(ranks.size - 1)
