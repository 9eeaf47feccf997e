"""Two processes that train together, beside one that does the same arithmetic by hand."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ranks import NET, STORIES
from runs import solver_param, weights

from data_sources import write_database
from torchcaffe.errors import InputError
from torchcaffe.solvers.distributed import Ranks, joined
from torchcaffe.solvers.solver import Solver

pytestmark = pytest.mark.slow

Results = dict[str, list[dict[str, np.ndarray]]]


def start(story: str, folder: Path) -> list[subprocess.Popen[str]]:
    """Two processes, connected as torchrun connects them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    script = str(Path(__file__).with_name("ranks.py"))
    return [
        subprocess.Popen(
            [sys.executable, script, story, str(folder)],
            env={**os.environ, **settings, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What each rank made of each story."""
    folder = tmp_path_factory.mktemp("ranks")
    write_database(str(folder / "lmdb"))
    for process in start("all", folder):
        _, errors = process.communicate(timeout=300)
        assert not process.returncode, errors
    return {
        story.__name__: [dict(np.load(folder / f"{story.__name__}{rank}.npz")) for rank in range(2)]
        for story in STORIES
    } | {"files": [{"names": np.array(sorted(path.name for path in folder.iterdir()))}]}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_database("lmdb")


def pair(text: str) -> list[Solver]:
    """Two solvers in one process, as Caffe makes them on two GPUs."""
    solvers = []
    for rank in range(2):
        param = solver_param(text, NET)
        param.random_seed += rank
        solvers.append(Solver(param))
    for rank, solver in enumerate(solvers):
        solver.net.data_layers["d"].deal(rank, 2)
    with torch.no_grad():
        for own, first in zip(solvers[1].learnable, solvers[0].learnable, strict=True):
            own.value.copy_(first.value)
    solvers[0].stream.word()
    return solvers


def backward(solver: Solver) -> float:
    run = solver.net.run({})
    run.loss.backward()
    return run.loss.item()


def averaged(solvers: list[Solver]) -> None:
    for first, second in zip(*(solver.learnable for solver in solvers), strict=True):
        if first.value.grad is not None:
            mean = (first.value.grad + second.value.grad) * 0.5
            first.value.grad, second.value.grad = mean, mean.clone()


def by_hand(text: str, iterations: int, passes: int, each: bool) -> list[dict[str, np.ndarray]]:
    solvers = pair(text)
    losses: list[list[float]] = [[], []]
    for _ in range(iterations):
        totals = [np.float32(0), np.float32(0)]
        for solver in solvers:
            solver.clear_gradients()
        for number in range(passes):
            for rank, solver in enumerate(solvers):
                totals[rank] += np.float32(backward(solver))
            if each or number == passes - 1:
                averaged(solvers)
        for rank, solver in enumerate(solvers):
            losses[rank].append(float(totals[rank] / np.float32(passes)))
            solver.apply_update()
    return [
        weights(solver) | {"losses": np.array(values)}
        for solver, values in zip(solvers, losses, strict=True)
    ]


@pytest.mark.parametrize(
    ("story", "text", "iterations", "passes", "each"),
    [
        ("plain", "weight_decay: 0.01 ", 4, 1, True),
        ("twice", "iter_size: 2 ", 3, 2, True),
        ("at_the_end", "iter_size: 2 layer_wise_reduce: false ", 3, 2, False),
    ],
)
@pytest.mark.usefixtures("database")
def test_two_processes_do_one_s_arithmetic(
    story: str, text: str, iterations: int, passes: int, each: bool, results: Results
) -> None:
    wanted = by_hand(text, iterations, passes, each)
    for rank in range(2):
        assert wanted[rank].keys() == results[story][rank].keys()
        for name, value in wanted[rank].items():
            assert np.array_equal(results[story][rank][name], value), f"rank {rank}: {name}"


def test_ranks_hold_the_same_weights_and_statistics_of_their_own(results: Results) -> None:
    first, second = results["plain"]
    for name, value in first.items():
        own = name.startswith(("losses", "bn/0", "bn/1"))
        assert np.array_equal(second[name], value) != own, name


def test_stopped_and_resumed_is_unbroken(results: Results) -> None:
    """The comparison is made in each process; here, that they trained at all."""
    first, second = results["resumed"]
    assert np.array_equal(first["ip/0"], second["ip/0"])
    assert not np.array_equal(first["bn/0"], second["bn/0"])


def test_rank_0_tests_and_writes_and_tells(results: Results) -> None:
    first, second = results["solved"]
    assert first["iter"] == second["iter"] == 4
    assert list(first["told"]).count("Tested") == 3
    assert list(first["told"]).count("Snapshotting") == 2
    assert list(first["told"]).count("FinalLoss") == 1
    assert not {"Tested", "Snapshotting", "FinalLoss"} & set(second["told"])
    files = results["files"][0]["names"]
    assert [name for name in files if name.startswith("solved_iter")] == [
        "solved_iter_4.caffemodel",
        "solved_iter_4.solverstate",
    ]


def test_a_request_to_one_is_followed_by_all(results: Results) -> None:
    for result in results["stopped"]:
        assert result["iter"].tolist() == [3, 4]


def test_what_cannot_be_is_refused_on_all_ranks(results: Results) -> None:
    for result in results["refused"]:
        first, second, third = result["words"]
        assert first.startswith(
            "rank 1 has another solver (max_iter, iter_size, layer_wise_reduce,"
        )
        assert ": [6, 1, True, 0, True, 0, 'BINARYPROTO'] and [5, 1, True, 0, True, 0," in first
        assert "layers of the net share parameters" in second
        assert "set layer_wise_reduce: false" in second
        assert third == (
            "the state is of a run of 1 processes, this one has 2; start as many, or resume from "
            "the .solverstate, which begins data and random numbers anew"
        )


def test_a_rank_that_fails_leaves_none_hanging(tmp_path: Path) -> None:
    first, second = start("failing", tmp_path)
    _, others = first.communicate(timeout=120)
    _, own = second.communicate(timeout=120)
    assert first.returncode == second.returncode == 1
    assert "iteration 2: the loss is nan" in own
    assert "rank 0 of 2 goes no further: another process of the run has ended" in others


def test_alone_unless_torchrun_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as ranks:
        assert (ranks.rank, ranks.size, ranks.leads) == (0, 1, True)
        assert ranks.highest(3, 4) == [3, 4]
        assert ranks.gathered("x") == ["x"]


def test_ranks_are_checked() -> None:
    with pytest.raises(InputError, match="a rank lies between 0 and 1, got 2"):
        Ranks(2, 2)
