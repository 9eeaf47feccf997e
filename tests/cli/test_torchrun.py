"""Training from the command line in two processes that torchrun has started."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.test_train import NET, SOLVER

pytestmark = pytest.mark.slow


def torchrun(*flags: str) -> tuple[int, str]:
    """The exit status of two processes, and what both said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "torchcaffe", "train", "--solver"]
    done = subprocess.run(
        [*command, "solver.prototxt", *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER + " snapshot_format: TORCH")


def test_one_log_one_snapshot_and_it_is_resumed() -> None:
    status, said = torchrun("--log-dir", "logs")
    assert not status, said
    assert said.count("Starting Optimization") == said.count("Iteration 4, lr = 0.01") == 1
    assert len(re.findall(r"Iteration \d, Testing net", said)) == 3
    unbroken = Path("s_iter_6.caffemodel").read_bytes()
    for path in Path().glob("s_iter_6.*"):
        path.unlink()
    status, said = torchrun("--resume", "--log-dir", "logs")
    assert not status, said
    assert said.count("Resuming from s_iter_3.torchstate") == 1
    assert Path("s_iter_6.caffemodel").read_bytes() == unbroken


def test_a_wrong_file_ends_both() -> None:
    status, said = torchrun("--snapshot", "nothing.solverstate")
    assert status == 1
    assert "torchcaffe: nothing.solverstate does not exist" in said
