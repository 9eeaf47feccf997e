"""What each of two processes does in test_distributed.py: ``python ranks.py STORY FOLDER``."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from runs import batch, make, weights

from torchcaffe.errors import CaffeError
from torchcaffe.solvers import events
from torchcaffe.solvers.distributed import Ranks, joined
from torchcaffe.solvers.solver import Solver

NET = """
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        data_param { source: "lmdb" backend: LMDB batch_size: 2 }
        transform_param { crop_size: 5 mirror: true scale: 0.01 } }
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "lmdb" backend: LMDB batch_size: 3 }
        transform_param { crop_size: 5 scale: 0.01 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param { num_output: 7 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
TESTED = "test_iter: 2 test_interval: 2 display: 1 "


def trained(solver: Solver, iterations: int) -> dict[str, np.ndarray]:
    """Losses and weights of so many iterations."""
    losses = []
    for _ in range(iterations):
        solver.step(1)
        losses.append(solver.loss)
    return weights(solver) | {"losses": np.array(losses)}


def told(solver: Solver) -> list[str]:
    """The names of what the solver tells from now on."""
    names: list[str] = []
    solver.listener = lambda event: names.append(type(event).__name__)
    return names


def by_ranks(text: str, ranks: Ranks, net: str = NET, **options: Any) -> Solver:
    return make(text, net, **{"batches": None, "ranks": ranks, **options})


def plain(ranks: Ranks) -> dict[str, Any]:
    return trained(by_ranks("weight_decay: 0.01 ", ranks), 4)


def twice(ranks: Ranks) -> dict[str, Any]:
    return trained(by_ranks("iter_size: 2 ", ranks), 3)


def at_the_end(ranks: Ranks) -> dict[str, Any]:
    return trained(by_ranks("iter_size: 2 layer_wise_reduce: false ", ranks), 3)


def resumed(ranks: Ranks) -> dict[str, Any]:
    text = TESTED + 'snapshot: 3 snapshot_format: TORCH snapshot_prefix: "resumed" max_iter: 6 '
    unbroken = trained(by_ranks(text, ranks), 6)
    solver = by_ranks(text, ranks)
    solver.restore("resumed_iter_3.torchstate")
    again = trained(solver, 3)
    assert (unbroken.pop("losses")[3:] == again.pop("losses")).all()
    assert all((again[name] == value).all() for name, value in unbroken.items())
    return again


def solved(ranks: Ranks) -> dict[str, Any]:
    """The snapshot at the end, and what was told."""
    solver = by_ranks(TESTED + 'snapshot_prefix: "solved" max_iter: 4 ', ranks)
    names = told(solver)
    solver.solve()
    return {"told": np.array(names), "iter": np.array(solver.iter)}


def stopped(ranks: Ranks) -> dict[str, Any]:
    """Rank 1 alone is asked to stop, rank 0 then during a test."""
    solver = by_ranks("max_iter: 9 " + TESTED + 'snapshot_prefix: "stopped" ', ranks)
    asked = iter([events.Request.NONE] * 2 + [events.Request.STOP])
    if ranks.rank == 1:
        solver.poll = lambda: next(asked)
    solver.solve()
    iterations = [solver.iter]
    solver.poll = (lambda: events.Request.STOP) if ranks.leads else None
    solver.step(5)
    return {"iter": np.array([*iterations, solver.iter])}


def refused(ranks: Ranks) -> dict[str, Any]:
    """The words of what cannot be."""
    words = []

    def collect(work: Callable[[], Any]) -> None:
        try:
            work()
        except CaffeError as error:
            words.append(str(error))

    collect(lambda: by_ranks(f"max_iter: {5 + ranks.rank} ", ranks))
    sharing = NET.replace(
        'layer { name: "loss"',
        """layer { name: "ip2" type: "InnerProduct" bottom: "ip" top: "ip2" param { name: "w" }
                   inner_product_param { num_output: 7 bias_term: false } }
           layer { name: "ip3" type: "InnerProduct" bottom: "ip2" top: "ip3" param { name: "w" }
                   inner_product_param { num_output: 7 bias_term: false } }
           layer { name: "loss\"""",
    )
    collect(lambda: by_ranks("", ranks, sharing))
    text = f'snapshot_format: TORCH snapshot_prefix: "alone{ranks.rank}" '
    state = make(text, NET, batches=None).snapshot()
    collect(lambda: by_ranks(text, ranks).restore(state))
    return {"words": np.array(words)}


def failing(ranks: Ranks) -> dict[str, Any]:
    """Rank 1 has a loss that is not finite."""
    scale = np.float32("nan" if ranks.rank else 1)

    def batches() -> Iterator[Any]:
        for number in range(9):
            given = dict(batch(number))
            yield given | {"data": given["data"] * (scale if number == 2 else 1)}

    make("", batches=batches(), ranks=ranks).step(9)
    return {}


STORIES = (plain, twice, at_the_end, resumed, solved, stopped, refused)


def main() -> None:
    torch.set_num_threads(1)
    wanted, folder = sys.argv[1:]
    os.chdir(folder)
    with joined() as ranks:
        for story in STORIES if wanted == "all" else [globals()[wanted]]:
            np.savez(f"{story.__name__}{ranks.rank}.npz", **story(ranks))


if __name__ == "__main__":
    main()
