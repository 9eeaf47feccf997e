"""A whole run beside real Caffe's log of it: every event, in its order, with its numbers.

The first run draws its data, its test data, its dropout masks and its weights from one stream; in
the second, data layers draw their seeds from it. A draw too many or too few anywhere changes every
number after it.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchcaffe.solvers import events
from torchcaffe.solvers.clip import Clipped
from torchcaffe.solvers.solver import Solver

RUNS = {"drawn": "logged", "read": "logged_data", "debug": "logged_debug"}
"""Runs whose data are drawn at random, and read from images and a database; one with debug_info."""

DATA = Path(__file__).parents[1] / "goldens" / "data"
NUMBER = re.compile(r"(?<![#\w])-?\d+\.?\d*(?:e[-+]\d+)?\b")


def outputs(kind: str, found: tuple[events.Output, ...]) -> Iterator[str]:
    for index, output in enumerate(found):
        line = f"    {kind} net output #{index}: {output.blob} = {output.value:.6g}"
        if output.weight:
            line += f" (* {output.weight:.6g} = {output.weight * output.value:.6g} loss)"
        yield line


def lines(event: events.Event) -> Iterator[str]:
    """The lines that Caffe logs of an event."""
    match event:
        case events.CreatingNet(None, field, file):
            yield f"Creating training net from {field} file: {file}"
        case events.CreatingNet(test, field, file):
            yield f"Creating test net (#{test}) specified by {field} file: {file}"
        case events.Scaffolded():
            yield "Solver scaffolding done."
        case events.Solving(net, policy):
            yield f"Solving {net}"
            yield f"Learning Rate Policy: {policy}"
        case events.Testing(iteration, test):
            yield f"Iteration {iteration}, Testing net (#{test})"
        case events.Tested(_, _, loss, found):
            if loss is not None:
                yield f"Test loss: {loss:.6g}"
            yield from outputs("Test", found)
        case events.Displayed(iteration, loss, found):
            yield f"Iteration {iteration}, loss = {loss:.6g}"
            yield from outputs("Train", found)
        case events.Rated(iteration, rate):
            yield f"Iteration {iteration}, lr = {rate:.6g}"
        case events.Stepped(iteration, step):
            yield f"MultiStep Status: Iteration {iteration}, step = {step}"
        case Clipped(norm, threshold, scale):
            yield (
                f"Gradient clipping: scaling down gradients (L2 norm {norm:.6g} > "
                f"{threshold:.6g}) by scale factor {scale:.6g}"
            )
        case events.Snapshotting(kind, path):
            what = "solver state " if kind == "state" else ""
            yield f"Snapshotting {what}to binary proto file {path}"
        case events.DebugForward(layer, kind, blob, value):
            yield f"    [Forward] Layer {layer}, {kind} blob {blob} data: {value:.6g}"
        case events.DebugBackward(layer, kind, blob, value):
            yield f"    [Backward] Layer {layer}, {kind} blob {blob} diff: {value:.6g}"
        case events.DebugNorms(l1_data, l1_diff, l2_data, l2_diff):
            yield (
                f"    [Backward] All net params (data, diff): L1 norm = ({l1_data:.6g}, "
                f"{l1_diff:.6g}); L2 norm = ({l2_data:.6g}, {l2_diff:.6g})"
            )
        case events.FinalLoss(iteration, loss):
            yield f"Iteration {iteration}, loss = {loss:.6g}"
        case events.Stopped(reason):
            yield reason.value


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
    found: list[str] = []
    solver = Solver("solver.prototxt", listener=lambda event: found.extend(lines(event)))
    assert solver.solve() is events.Stop.FINISHED
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
