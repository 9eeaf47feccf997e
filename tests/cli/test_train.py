"""Training from the command line, in processes of their own where signals matter."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from torchcaffe.cli import main

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "target" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "target" top: "loss" }
"""

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" random_seed: 1
display: 2 max_iter: 6 snapshot: 3 snapshot_prefix: "s" test_iter: 2 test_interval: 3
"""

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder with a solver: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)

    def call(*args: str) -> Outcome:
        try:
            main(list(args))
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


def messages(log: str) -> list[str]:
    """The messages of a log, without prefixes and without dumps of parameters."""
    return [line.split("] ", 1)[1] for line in log.splitlines() if line[:1] == "I"]


@pytest.mark.parametrize(
    "flags",
    [["--solver", "solver.prototxt"], ["-solver", "solver.prototxt"], ["-solver=solver.prototxt"]],
    ids=" ".join,
)
def test_a_run_with_caffe_s_flags(run: Run, flags: list[str]) -> None:
    status, out, err = run("train", *flags, "-gpu=", "--logtostderr=1")
    assert (status, out) == (0, "")
    said = messages(err)
    assert said[0] == "Use CPU." and said[-2:] == ["Optimization Done.", "Optimization Done."]
    assert "Starting Optimization" in said and "Iteration 4, lr = 0.01" in said
    assert Path("s_iter_6.solverstate").is_file()


def test_a_snapshot_is_resumed_and_the_log_goes_on(run: Run) -> None:
    assert run("train", "--solver", "solver.prototxt", "--log-dir", "logs")[0] == 0
    assert run("train", "--solver", "solver.prototxt", "--log-dir", "logs")[0] == 1
    flags = ["--snapshot", "s_iter_3.solverstate", "--log-dir", "logs"]
    status, _, err = run("train", "--solver", "solver.prototxt", *flags)
    assert status == 0
    assert "Resuming from s_iter_3.solverstate" in messages(err)
    assert "SGDSolver: restoring history" in messages(err)
    rows = [json.loads(line) for line in Path("logs/rows.jsonl").read_text().splitlines()]
    trained = [row["iter"] for row in rows if row["phase"] == "train"]
    assert trained == [0, 2, 4, 6, 4, 6]
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
