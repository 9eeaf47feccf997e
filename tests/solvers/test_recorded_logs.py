"""A whole run beside real Caffe's log of it: every line, in its order, with its numbers.

The first run draws its data, its test data, its dropout masks and its weights from one stream; in
the second, data layers draw their seeds from it. A draw too many or too few anywhere changes every
number after it.
"""

import re
import shutil
from pathlib import Path

import pytest

from torchcaffe.logs import CaffeLog, Line
from torchcaffe.solvers import events
from torchcaffe.solvers.solver import Solver

RUNS = {"drawn": "logged", "read": "logged_data", "debug": "logged_debug"}
"""Runs whose data are drawn at random, and read from images and a database; one with debug_info."""

DATA = Path(__file__).parents[1] / "goldens" / "data"
SPEED = re.compile(r" \(\S+ iter/s, \S+s/\d+ iters\)")
NUMBER = re.compile(r"(?<![#\w])-?\d+\.?\d*(?:e[-+]\d+)?\b")


def said(line: Line) -> bool:
    """Whether the recording has such lines."""
    recorded = line.place.startswith(("solver.cpp", "sgd_solver.cpp")) or "ward]" in line.text
    return recorded and not line.text.startswith("Initializing solver")


def assert_same_line(ours: str, theirs: str) -> None:
    """The same words; numbers as printed, where a rounding may turn the sixth digit by one."""
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    for mine, other in zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True):
        digit = 10.0 ** (len(f"{abs(float(other)):.0f}") - 6) if "." in other else 0.0
        if "." in other and abs(float(other)) < 1:
            digit = 10.0 ** -len(other.partition(".")[2])
        assert abs(float(mine) - float(other)) <= 1.001 * digit, (ours, theirs)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_reads_as_real_caffe_s(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Path(__file__).parent / RUNS[name]
    folder = shutil.copytree(DATA, tmp_path / "run") if name == "read" else tmp_path
    for file in ("net.prototxt", "solver.prototxt"):
        shutil.copy(recorded / file, folder)
    monkeypatch.chdir(folder)
    log: list[Line] = []
    solver = Solver("solver.prototxt", listener=CaffeLog(log.append))
    assert solver.solve() is events.Stop.FINISHED
    found = [SPEED.sub("", line.text) for line in log if said(line)]
    expected = (recorded / "caffe.log").read_text().splitlines()[1:]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same_line(ours, theirs)


def test_a_wrong_digit_would_be_seen() -> None:
    assert_same_line("loss = 1.23456 at 3", "loss = 1.23457 at 3")
    assert_same_line("loss = 0.00123456", "loss = 0.00123457")
    for wrong in ("loss = 1.23459 at 3", "loss = 1.23457 at 4", "loss: 1.23457 at 3"):
        with pytest.raises(AssertionError):
            assert_same_line(wrong, "loss = 1.23457 at 3")
