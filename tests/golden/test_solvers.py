"""Every recorded training run: weights, losses and snapshots, at the declared classes.

The initial weights come from the seed, bit for bit. From then on everything depends on everything
before it, and is held to one class: the widest that the net's layers declare for a loss or for a
parameter's gradient. ``torchcaffe.solvers.trajectory`` measures how far that many roundings, in
every number of every pass and update, let each loss and parameter stray by its iteration. Frozen
parameters keep their bits.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from assertions import assert_parity
from golden_cases import golden_root, recordings
from torchcaffe.layers._exactness import Exactness, bitwise
from torchcaffe.net import CaffeNet
from torchcaffe.parity.classes import declared_classes
from torchcaffe.parity.compare import Sensitivity
from torchcaffe.proto import blob_diff, encode, read_solver, read_weights_net, read_wire
from torchcaffe.proto.schema import NetParameter, SolverParameter, SolverState
from torchcaffe.solvers.snapshot import write_model
from torchcaffe.solvers.solver import Solver
from torchcaffe.solvers.state_files import State, read_state, write_state
from torchcaffe.solvers.trajectory import trajectory
from torchcaffe.solvers.volatile import capture, put_back

RUNS = recordings("solvers", "*/trace.npz")
SNAPSHOTS = [
    pytest.param(path, id=f"{path.parent.name}/{path.name}")
    for path in sorted((golden_root() / "solvers").glob("*/*_iter_*.solverstate*"))
]

__test__ = bool(RUNS)
pytestmark = pytest.mark.golden

Arrays = dict[str, np.ndarray]


@cache
def recorded(folder: Path) -> Arrays:
    with np.load(folder / "trace.npz") as stored:
        return {name: stored[name] for name in stored.files}


def under(folder: Path, prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): value
        for name, value in recorded(folder).items()
        if name.startswith(prefix)
    }


def solver_param(folder: Path) -> SolverParameter:
    """The run's solver; its net lies beside it, and it writes nothing."""
    param = read_solver(folder / "solver.prototxt")
    param.net = str(folder / param.net)
    param.snapshot, param.snapshot_after_train, param.display = 0, False, 0
    return param


def make_solver(folder: Path, dtype: torch.dtype = torch.float32) -> Solver:
    """The run's solver, fed as the recorded one was: a batch serves all of ``iter_size``."""
    param = solver_param(folder)
    arrays = recorded(folder)

    def batch(number: int) -> Arrays:
        iteration = number // param.iter_size
        return {
            name: arrays[name][(shape[0] * iteration + np.arange(shape[0])) % len(arrays[name])]
            for name, shape in solver.net.inputs.items()
        }

    solver = Solver(param, batches=batch, dtype=dtype)
    return solver


def parameters(net: CaffeNet) -> dict[str, torch.Tensor]:
    return {
        f"{layer}/{index}": value.detach().clone()
        for layer, blobs in net.params.items()
        for index, value in enumerate(blobs)
    }


def frozen(solver: Solver) -> set[str]:
    """Parameters that nothing may change; BatchNorm's statistics change without a rate."""
    fixed = {
        entry.value.data_ptr()
        for entry in solver.learnable
        if not entry.lr_mult and isinstance(entry.value, torch.nn.Parameter)
    }
    return {
        f"{layer}/{index}"
        for layer, blobs in solver.net.params.items()
        for index, value in enumerate(blobs)
        if value.data_ptr() in fixed
    }


@dataclass
class Ours:
    """Our own run: what it measured, and at each snapshot what Caffe's files do not hold."""

    values: Arrays
    classes: dict[str, Exactness]
    sensitivities: dict[str, Sensitivity]
    volatile: dict[int, dict[str, Any]]


SQUARES = {
    "AdaGrad": ("history",),
    "RMSProp": ("history",),
    "AdaDelta": ("squared_gradients", "squared_updates"),
    "Adam": ("second_moment",),
}
"""Histories of squares: roundings are those of what was squared, so their roots are compared."""


def histories(solver: Solver) -> dict[str, torch.Tensor]:
    kinds = [name for name in solver.optimizer.histories for _ in solver.learnable]
    squares = SQUARES.get(solver.param.type, ())
    return {
        f"history_{solver.iter}/{index}": value.sqrt() if kind in squares else value.clone()
        for index, (kind, value) in enumerate(zip(kinds, solver.history, strict=True))
    }


def normal(value: np.ndarray) -> np.ndarray:
    """Numbers below float32's normal range as 0: they have lost digits, the float64 twins' not."""
    return np.where(np.abs(value) < np.finfo(np.float32).tiny, value.dtype.type(0), value)


def run_class(net: CaffeNet) -> Exactness:
    """What one pass may cost, for all that comes after it."""
    classes = declared_classes(net)
    return max(classes.blobs["loss"], *classes.param_diffs.values())


def snapshot_iterations(folder: Path) -> set[int]:
    return {
        read_state(path.values[0]).iter for path in SNAPSHOTS if path.values[0].parent == folder
    }


@cache
def run(folder: Path) -> Ours:
    """Our run of a recording, and how far it may stray."""
    arrays = recorded(folder)
    marks = {int(name.split("/")[0][6:]) for name in arrays if name.startswith("after_")}
    marks |= snapshot_iterations(folder)
    iterations = len(arrays["loss"])

    def measure(solver: Solver) -> dict[str, torch.Tensor]:
        found = {f"loss/{solver.iter - 1}": solver.outputs["loss"]}
        if solver.iter in marks:
            params = parameters(solver.net)
            found |= {f"after_{solver.iter}/{name}": value for name, value in params.items()}
            found |= histories(solver)
        return found

    solver = make_solver(folder)
    values: Arrays = {}
    volatile = {}
    for _ in range(iterations):
        solver.step(1)
        if solver.iter in marks:
            volatile[solver.iter] = capture(solver)
        values |= {name: value.numpy() for name, value in measure(solver).items()}
    fixed, wide = frozen(solver), run_class(solver.net)
    classes = {name: bitwise() if name.partition("/")[2] in fixed else wide for name in values}
    twins = trajectory(lambda: make_solver(folder, dtype=torch.float64), iterations, measure)
    return Ours(values, classes, twins, volatile)


def assert_run(ours: Ours, theirs: Arrays, values: Arrays | None = None) -> None:
    mine = {name: normal((values or ours.values)[name]) for name in theirs}
    wanted = {name: normal(value) for name, value in theirs.items()}
    assert_parity(mine, wanted, ours.classes, ours.sensitivities)


@pytest.mark.parametrize("path", RUNS)
class TestRun:
    def test_initial_weights(self, path: Path) -> None:
        theirs = under(path.parent, "init/")
        ours = {name: v.numpy() for name, v in parameters(make_solver(path.parent).net).items()}
        assert_parity(ours, theirs, dict.fromkeys(theirs, bitwise()))

    def test_losses(self, path: Path) -> None:
        losses = recorded(path.parent)["loss"].astype(np.float32)
        assert_run(run(path.parent), {f"loss/{i}": loss for i, loss in enumerate(losses)})

    def test_parameters(self, path: Path) -> None:
        arrays = recorded(path.parent)
        assert_run(run(path.parent), {n: v for n, v in arrays.items() if n.startswith("after_")})


def restored(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Solver, State]:
    state = read_state(path)
    solver = make_solver(path.parent)
    # Caffe looks for the weights from the current folder.
    monkeypatch.chdir(path.parent)
    solver.restore(path)
    return solver, state


@pytest.mark.parametrize("path", SNAPSHOTS)
class TestSnapshot:
    def test_it_is_the_run_s(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        solver, state = restored(path, monkeypatch)
        theirs = {f"after_{state.iter}/{name}": v for name, v in parameters(solver.net).items()}
        theirs |= histories(solver)
        assert_run(run(path.parent), {name: value.numpy() for name, value in theirs.items()})

    def test_it_continues_to_the_same_losses(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver, state = restored(path, monkeypatch)
        ours, losses = run(path.parent), recorded(path.parent)["loss"].astype(np.float32)
        # The recorded run went on with its random stream, which Caffe's snapshots do not hold.
        put_back(solver, ours.volatile[state.iter])
        theirs = {f"loss/{i}": losses[i] for i in range(state.iter, len(losses))}
        values: Arrays = {}
        for iteration in range(state.iter, len(losses)):
            solver.step(1)
            values[f"loss/{iteration}"] = solver.outputs["loss"].numpy()
        assert_run(ours, theirs, values)

    def test_we_write_the_same(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver, state = restored(path, monkeypatch)
        model = Path(str(state.learned_net))
        end = ".h5" if path.suffix == ".h5" else ""
        history = [value.numpy() for value in solver.history]
        again = State(solver.iter, solver.current_step, state.learned_net, history)
        write_state(tmp_path / f"a.solverstate{end}", again)
        write_model(solver.net, tmp_path / f"a.caffemodel{end}", recorded_updates(solver, model))
        for ours, theirs in (("a.solverstate", path), ("a.caffemodel", model)):
            assert content(tmp_path / f"{ours}{end}") == content(theirs)


def recorded_updates(solver: Solver, model: Path) -> dict[torch.Tensor, torch.Tensor] | None:
    """What the latest update subtracted, from a model with snapshot_diff."""
    params = solver.net.params
    found: dict[torch.Tensor, torch.Tensor] = {}
    for layer, blobs in diffs(model).items():
        for index, diff in enumerate(blobs):
            owner, owner_index = solver.net.owner(layer, index)
            value = params[owner][owner_index]
            found[value] = torch.from_numpy(diff.copy()).reshape(value.shape)
    return found or None


def diffs(model: Path) -> dict[str, list[np.ndarray]]:
    if model.suffix == ".h5":
        with h5py.File(model) as file:
            groups = file.get("diff", {})
            return {name: [groups[name][i][()] for i in sorted(groups[name])] for name in groups}
    layers = read_weights_net(model).layer
    found = {layer.name: [blob_diff(blob) for blob in layer.blobs] for layer in layers}
    return {
        name: [diff for diff in values if diff is not None]
        for name, values in found.items()
        if any(diff is not None for diff in values)
    }


def content(path: Path) -> object:
    """A file's bytes; an HDF5 file's arrays, as it holds times and versions too."""
    if path.suffix != ".h5":
        return path.read_bytes()
    found: dict[str, object] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = (item.shape, str(item.dtype), np.asarray(item[()]).tobytes())
        else:
            found[name] = "group"

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


BINARIES: list[Any] = [
    pytest.param(path, message, id=f"{path.parent.name}/{path.name}")
    for suffix, message in ((".caffemodel", NetParameter), (".solverstate", SolverState))
    for path in sorted((golden_root() / "solvers").glob(f"*/*{suffix}"))
]


@pytest.mark.parametrize(("path", "message"), BINARIES)
def test_read_and_written_it_is_the_same(path: Path, message: Any) -> None:
    assert encode(read_wire(path, message)) == path.read_bytes()
