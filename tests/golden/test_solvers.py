"""Every recorded training run: weights, losses and snapshots, at the declared classes.

The initial weights come from the seed, bit for bit. From then on, everything is accumulated():
nothing on the way, forward, backward and in the updates, may be off by more than that many
roundings, and ``torchcaffe.solvers.trajectory`` measures how far that lets each loss and each
parameter stray by its iteration. Frozen parameters keep their bits.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assertions import assert_parity
from golden_cases import golden_root, recordings
from torchcaffe.layers._exactness import Exactness, accumulated, bitwise
from torchcaffe.net import CaffeNet
from torchcaffe.parity.compare import Sensitivity
from torchcaffe.proto import blob_diff, encode, read_solver, read_weights_net, read_wire
from torchcaffe.proto.schema import NetParameter, SolverParameter, SolverState
from torchcaffe.solvers.snapshot import write_model
from torchcaffe.solvers.solver import Solver
from torchcaffe.solvers.state_files import State, read_state, write_state
from torchcaffe.solvers.trajectory import trajectory

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


def make_solver(folder: Path, start: int = 0, dtype: torch.dtype = torch.float32) -> Solver:
    """The run's solver, fed from iteration ``start`` on; a batch serves all of ``iter_size``."""
    param = solver_param(folder)
    arrays = recorded(folder)

    def batch(number: int) -> Arrays:
        iteration = start + number // param.iter_size
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
    """Our own run: what it measured, and the random stream's state after each iteration."""

    values: Arrays
    classes: dict[str, Exactness]
    sensitivities: dict[str, Sensitivity]
    streams: list[np.ndarray]


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
            found |= {
                f"history_{solver.iter}/{index}": value.clone()
                for index, value in enumerate(solver.history)
            }
        return found

    solver = make_solver(folder)
    values: Arrays = {}
    streams = []
    for _ in range(iterations):
        solver.step(1)
        streams.append(solver.stream.state)
        values |= {name: value.numpy() for name, value in measure(solver).items()}
    fixed = frozen(solver)
    classes = {
        name: bitwise() if name.partition("/")[2] in fixed else accumulated() for name in values
    }
    twins = trajectory(lambda: make_solver(folder, dtype=torch.float64), iterations, measure)
    return Ours(values, classes, twins, streams)


def assert_run(ours: Ours, theirs: Arrays, values: Arrays | None = None) -> None:
    mine = {name: (values or ours.values)[name] for name in theirs}
    assert_parity(mine, theirs, ours.classes, ours.sensitivities)


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
    solver = make_solver(path.parent, start=state.iter)
    # Caffe looks for the weights from the current folder.
    monkeypatch.chdir(path.parent)
    solver.restore(path)
    return solver, state


@pytest.mark.parametrize("path", SNAPSHOTS)
class TestSnapshot:
    def test_it_is_the_run_s(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        solver, state = restored(path, monkeypatch)
        theirs = {
            f"after_{state.iter}/{name}": value.numpy()
            for name, value in parameters(solver.net).items()
        }
        theirs |= {
            f"history_{state.iter}/{index}": value for index, value in enumerate(state.history)
        }
        assert_run(run(path.parent), theirs)

    def test_it_continues_to_the_same_losses(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver, state = restored(path, monkeypatch)
        ours, losses = run(path.parent), recorded(path.parent)["loss"].astype(np.float32)
        # The recorded run went on with its stream, which Caffe's snapshots do not hold.
        solver.stream.state = ours.streams[state.iter - 1]
        theirs = {f"loss/{i}": losses[i] for i in range(state.iter, len(losses))}
        values: Arrays = {}
        for iteration in range(state.iter, len(losses)):
            solver.step(1)
            values[f"loss/{iteration}"] = solver.outputs["loss"].numpy()
        assert_run(ours, theirs, values)

    def test_we_write_the_same_bytes(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        solver, state = restored(path, monkeypatch)
        if path.suffix == ".h5":
            pytest.skip("HDF5 files hold times and versions")
        history = [value.numpy() for value in solver.history]
        again = State(solver.iter, solver.current_step, state.learned_net, history)
        write_state(tmp_path / "a.solverstate", again)
        assert (tmp_path / "a.solverstate").read_bytes() == path.read_bytes()
        model = Path(str(state.learned_net))
        if any(blob_diff(b) is not None for m in read_weights_net(model).layer for b in m.blobs):
            pytest.skip("the model holds the latest updates, which a restored solver does not have")
        write_model(solver.net, tmp_path / "a.caffemodel", None)
        assert (tmp_path / "a.caffemodel").read_bytes() == model.read_bytes()


BINARIES: list[Any] = [
    pytest.param(path, message, id=f"{path.parent.name}/{path.name}")
    for suffix, message in ((".caffemodel", NetParameter), (".solverstate", SolverState))
    for path in sorted((golden_root() / "solvers").glob(f"*/*{suffix}"))
]


@pytest.mark.parametrize(("path", "message"), BINARIES)
def test_read_and_written_it_is_the_same(path: Path, message: Any) -> None:
    assert encode(read_wire(path, message)) == path.read_bytes()
