"""Our log through the eyes of Caffe's own log parsers.

What they look for is told by the reference of Caffe's tools: parse_log.py by its expressions,
parse_log.sh by the numbers of columns between blanks, extract_seconds.py by the first two columns.
"""

import io
import re
from datetime import datetime
from pathlib import Path

import pytest

from torchcaffe.logs import CaffeLog, LogWriter
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.solver import Solver

NET = """
name: "parsed"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 } data_filler { type: "gaussian" }
  data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
        include { phase: TEST } }
"""
SOLVER = """
base_lr: 0.01 lr_policy: "inv" gamma: 0.1 power: 0.75 display: 2 max_iter: 6 test_iter: 2
test_interval: 3 random_seed: 3 snapshot_after_train: false
"""
NUMBER = r"([\.\deE+-]+)"


@pytest.fixture(scope="module")
def log() -> list[str]:
    stream = io.StringIO()
    param = parse_text(f"{SOLVER} net_param {{ {NET} }}", SolverParameter)
    Solver(param, listener=CaffeLog(LogWriter(stream))).solve()
    return stream.getvalue().splitlines()


def when(line: str) -> datetime:
    """The time of a line, as extract_seconds.py reads it: the year is the file's."""
    day, time = line.split()[:2]
    return datetime.strptime(f"2026{day[1:]} {time}", "%Y%m%d %H:%M:%S.%f")


def test_parse_log_py_finds_every_output(log: list[str]) -> None:
    iteration, found, rates = None, [], []
    for line in log:
        if match := re.search(r"Iteration (\d+)", line):
            iteration = int(match[1])
            assert when(line) >= when(next(entry for entry in log if "Solving" in entry))
        for kind in ("Train", "Test"):
            if match := re.search(rf"{kind} net output #(\d+): (\S+) = {NUMBER}", line):
                found.append((kind, iteration, match[2]))
                assert float(match[3]) >= 0
        if match := re.search(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)", line):
            rates.append(float(match[1]))
    tests = [("Test", at, name) for at in (0, 3, 6) for name in ("accuracy", "loss")]
    assert sorted(found) == sorted([*tests, *(("Train", at, "loss") for at in (0, 2, 4))])
    assert rates[0] == 0.01 and len(rates) == 3


def test_parse_log_sh_finds_its_columns(log: list[str]) -> None:
    def column(number: int, words: str) -> list[float]:
        return [float(line.split()[number - 1]) for line in log if words in line]

    assert all(0 <= value <= 1 for value in column(11, "Test net output #0"))
    assert all(value > 0 for value in column(11, "Test net output #1"))
    assert column(9, ", lr = ")[0] == 0.01
    losses = [line.split("=")[1] for line in log if ", loss = " in line]
    assert len(losses) == 4 and all(float(loss) > 0 for loss in losses)
    assert sum("] Solving " in line for line in log) == 1


def test_the_folder_of_a_terminal_log_reads_the_same(log: list[str], tmp_path: Path) -> None:
    from torchcaffe.logs import read_log

    (tmp_path / "a.log").write_text("\n".join(log))
    found = read_log(tmp_path / "a.log")
    assert [row.iteration for row in found.train] == [0, 2, 4, 6]
    assert [row.iteration for row in found.tests[0]] == [0, 3, 6]
    assert found.tests[0][0].losses == {"loss"}
