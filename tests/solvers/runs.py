"""A small solver for the tests: one net with dropout, fed with numbers of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.batches import Array
from torchcaffe.solvers.solver import Solver

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" top: "target"
        input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "tanh" type: "TanH" bottom: "a" top: "a" }
layer { name: "drop" type: "Dropout" bottom: "a" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { lr_mult: 1 }
        param { lr_mult: 2 decay_mult: 0 }
        inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "target" top: "loss" }
"""

SETTINGS = 'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 random_seed: 7'


def batch(number: int) -> Mapping[str, Array]:
    """The batch of a number."""
    random = np.random.default_rng(number)
    return {
        "data": random.standard_normal((4, 3), np.float32),
        "target": random.standard_normal((4, 2), np.float32),
    }


def solver_param(text: str = "", net: str = NET) -> SolverParameter:
    """A solver with its net inside."""
    return parse_text(f"{SETTINGS} {text} net_param {{ {net} }}", SolverParameter, "s")


def make(text: str = "", net: str = NET, **options: Any) -> Solver:
    """A solver that writes no snapshot unless it is told to."""
    return Solver(solver_param(text, net), **{"batches": batch, **options})


def with_prefix(folder: Path, text: str = "") -> str:
    """Settings that write snapshots to ``folder``."""
    return f'snapshot_prefix: "{folder}/s" {text}'


def weights(solver: Solver) -> dict[str, Array]:
    """Copies of all parameter blobs."""
    return {
        f"{layer}/{index}": value.detach().numpy().copy()
        for layer, blobs in solver.net.params.items()
        for index, value in enumerate(blobs)
    }


def same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Whether two sets of arrays are equal to the last bit."""
    return set(first) == set(second) and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )
