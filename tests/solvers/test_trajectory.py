"""How far roundings may carry a run."""

import numpy as np
import torch
from runs import NET, batch, make, solver_param

from torchcaffe.layers._exactness import accumulated
from torchcaffe.parity.compare import compare
from torchcaffe.solvers.solver import Solver
from torchcaffe.solvers.trajectory import trajectory

FROZEN = NET.replace('bottom: "data" top: "a"', 'bottom: "data" top: "a" param { lr_mult: 0 }')


def measure(solver: Solver) -> dict[str, torch.Tensor]:
    return {
        f"loss/{solver.iter}": solver.outputs["loss"],
        f"a/{solver.iter}": solver.net.params["a"][0],
        f"b/{solver.iter}": solver.net.params["b"][0],
    }


def test_it_starts_from_the_float64_run() -> None:
    found = trajectory(lambda: make(dtype=torch.float64), 3, measure)
    solver = make(dtype=torch.float64)
    for iteration in (1, 2, 3):
        solver.step(1)
        for name, value in measure(solver).items():
            assert np.array_equal(found[name].value, value.detach().numpy())
        assert set(found) >= {f"loss/{iteration}", f"a/{iteration}"}


def test_what_is_not_trained_does_not_stray() -> None:
    found = trajectory(lambda: make(net=FROZEN, dtype=torch.float64), 2, measure)
    assert not found["a/2"].scale.any()
    assert (found["b/2"].scale > 0).all()


def test_a_float32_run_is_within_and_another_recipe_is_not() -> None:
    iterations = 20
    found = trajectory(lambda: make(dtype=torch.float64), iterations, measure)
    right, wrong = make(), make(f"weight_decay: {1e-4}")
    for _ in range(iterations):
        right.step(1)
        wrong.step(1)
    name = f"b/{iterations}"
    theirs = found[name].value.astype(np.float32)
    for solver, passes in ((right, True), (wrong, False)):
        ours = measure(solver)[name].detach().numpy()
        assert compare(name, ours, theirs, accumulated(), found[name]).passed is passes


BIASED = """
layer { name: "data" type: "Input" top: "data" top: "target"
        input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "a" top: "b" }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "target" top: "loss" }
"""


def test_a_bias_before_batch_norm_is_moved_by_noise_alone() -> None:
    # Its gradient is exactly 0. What float32 computes instead, RMSProp makes whole steps of.
    param = solver_param(net=BIASED)
    param.type, param.momentum = "RMSProp", 0
    found = trajectory(
        lambda: Solver(param, batches=batch, dtype=torch.float64),
        5,
        lambda solver: {f"bias/{solver.iter}": solver.net.params["a"][1]},
    )
    solver = Solver(param, batches=batch)
    solver.step(5)
    ours = solver.net.params["a"][1].detach().numpy()
    theirs = found["bias/5"].value.astype(np.float32)
    assert compare("bias", ours, theirs, accumulated(), found["bias/5"]).passed
