"""Ctrl-C, SIGHUP and SIGKILL, and a disk that is full."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from runs import make, same, weights, with_prefix

from torchcaffe.errors import InputError
from torchcaffe.solvers.events import Request
from torchcaffe.solvers.signals import Signals
from torchcaffe.solvers.snapshot import newest_snapshot

NET = """
layer { name: "data" type: "DummyData" top: "data" top: "target" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "target" top: "loss" }
"""


def test_hangup_is_answered_before_ctrl_c_and_each_once() -> None:
    with Signals(sigint=Request.STOP, sighup=Request.SNAPSHOT) as signals:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGHUP)
        asked = [signals.poll() for _ in range(3)]
    assert asked == [Request.SNAPSHOT, Request.STOP, Request.NONE]


@pytest.mark.parametrize("answered", [False, True])
def test_a_second_ctrl_c_leaves_a_run_that_is_to_stop_at_once(answered: bool) -> None:
    with Signals() as signals:
        signal.raise_signal(signal.SIGINT)
        if answered:
            assert signals.poll() == Request.STOP
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_may_ask_for_snapshots_or_nothing_again_and_again() -> None:
    with Signals(sigint=Request.SNAPSHOT) as signals:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            assert signals.poll() == Request.SNAPSHOT
    with Signals(sigint=Request.NONE) as signals:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert signals.poll() == Request.NONE


def test_the_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_process_answers_signals_between_iterations(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 100000000 display: 1000 '
        'snapshot_prefix: "s"'
    )
    command = [sys.executable, "-m", "torchcaffe", "train", "--solver", "solver.prototxt"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        until(process.stderr, "Iteration 0, lr")
        process.send_signal(signal.SIGHUP)
        until(process.stderr, "Snapshotting solver state")
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 0
    assert "Snapshotting solver state" in rest and "Optimization stopped early." in rest
    assert rest.rstrip().endswith("Optimization Done.")
    assert len(list(tmp_path.glob("s_iter_*.solverstate"))) == 2


def until(lines: Iterator[str], words: str) -> None:
    assert any(words in line for line in lines)


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5", "TORCH"])
def test_killed_runs_leave_whole_snapshots(tmp_path: Path, form: str) -> None:
    killing = Path(__file__).with_name("killing.py")
    command = [sys.executable, str(killing), str(tmp_path), form, "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 kills")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond a few bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5", "TORCH"])
@pytest.mark.parametrize("diff", ["true", "false"])
def test_a_full_disk_leaves_the_old_snapshot(tmp_path: Path, form: str, diff: str) -> None:
    settings = f"snapshot: 2 snapshot_format: {form} snapshot_diff: {diff} max_iter: 10"
    solver = make(with_prefix(tmp_path, settings))
    solver.step(2)
    files = sorted(tmp_path.iterdir())
    kept = weights(solver)
    with full_disk(), pytest.raises(InputError, match=r"s_iter_4.* cannot be written"):
        solver.step(2)
    assert sorted(tmp_path.iterdir()) == files
    newest = newest_snapshot(tmp_path / "s")
    assert newest is not None
    resumed = make(with_prefix(tmp_path, settings))
    resumed.restore(newest)
    assert same(weights(resumed), kept)


def test_what_torchrun_hands_on_is_the_same_signal() -> None:
    with Signals(echo=60) as signals:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert signals.poll() == Request.STOP
        signal.raise_signal(signal.SIGINT)
        assert signals.poll() == Request.NONE
        signals.latest -= 61
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
