"""A run to files, and back.

Caffe: ``src/caffe/solver.cpp`` (Snapshot, Restore), ``src/caffe/solvers/sgd_solver.cpp``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from torchcaffe.errors import SolverError
from torchcaffe.layers._registry import shape_text
from torchcaffe.solvers.events import Restored, Snapshotting
from torchcaffe.solvers.snapshot import SUFFIXES, TORCH_STATE, find_model, write_model
from torchcaffe.solvers.state_files import State, read_state, write_state
from torchcaffe.solvers.torch_state import read_tree, write_tree
from torchcaffe.solvers.volatile import capture, put_back
from torchcaffe.weights import copy_weights, read_weights
from torchcaffe.weights.model import fits

if TYPE_CHECKING:
    from torchcaffe.solvers.solver import Solver


def save_snapshot(solver: Solver) -> Path:
    """Write the model, then what Caffe loses, then the state that names the model.

    Each file is whole when it appears, so that all of a snapshot is there when its state is. Of
    several ranks, rank 0 writes.
    """
    param = solver.param
    model_end, state_end = SUFFIXES[param.snapshot_format]
    base = f"{param.snapshot_prefix}_iter_{solver.iter}"
    torch_path, path = Path(base + TORCH_STATE), Path(base + state_end)
    result = torch_path if param.snapshot_format == "TORCH" else path
    lost = solver.before_test or capture(solver) if result == torch_path else {}
    if not solver.ranks.leads:
        return result
    solver.tell(Snapshotting("model", Path(base + model_end)))
    write_model(solver.net, Path(base + model_end), solver.optimizer.updates)
    history = [value.detach().cpu().float().numpy() for value in solver.history]
    if result == torch_path:
        solver.tell(Snapshotting("torch", torch_path))
        write_tree(torch_path, lost)
    solver.tell(Snapshotting("state", path))
    write_state(path, State(solver.iter, solver.current_step, base + model_end, history))
    return result


def restore(solver: Solver, path: Path, model: Path | None) -> None:
    """Make ``solver`` what the state in ``path`` says; what does not fit changes nothing."""
    tree = None
    if path.name.endswith(TORCH_STATE):
        tree = read_tree(path)
        path = path.with_name(path.name.removesuffix(TORCH_STATE) + ".solverstate")
    state = read_state(path)
    if tree is not None and tree["iter"] != state.iter:
        raise SolverError(
            f"{path} is of iteration {state.iter}, the .torchstate beside it of {tree['iter']}; "
            f"they do not belong together"
        )
    _check_history(solver, path, state)
    if model is None and state.learned_net is not None:
        model = find_model(path, state)
    if model is not None:
        copy_weights(solver.net, read_weights(model))
    with torch.no_grad():
        for own, value in zip(solver.history, state.history, strict=True):
            own.copy_(torch.tensor(value.reshape(tuple(own.shape))))
    solver.iter, solver.current_step = state.iter, state.current_step
    if tree is not None:
        put_back(solver, tree)
    solver.ranks.same("iteration", solver.iter)
    solver.tell(Restored(path, solver.iter))


def _check_history(solver: Solver, path: Path, state: State) -> None:
    names = [f"{entry.layer}/{entry.index}" for entry in solver.learnable]
    kinds = len(solver.history) // len(names)
    if len(state.history) != len(solver.history):
        each = "one blob" if kinds == 1 else f"{kinds} blobs"
        raise SolverError(
            f"{path} has {len(state.history)} history blobs, this solver {len(solver.history)}: "
            f"{each} for each of the net's {len(names)} parameters with {solver.param.type}. Is it "
            f"the state of another net, or of another type of solver?"
        )
    for index, (own, value) in enumerate(zip(solver.history, state.history, strict=True)):
        shape = tuple(own.shape)
        if value.shape != shape and not fits(value, True, shape):
            raise SolverError(
                f"{path}: history blob {index}, of parameter {names[index % len(names)]}, is "
                f"{shape_text(value.shape)}, and the net's is {shape_text(shape)}. Is it the state "
                f"of another net?"
            )
