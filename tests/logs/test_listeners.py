"""What a run shows on a terminal, and what it keeps in a folder."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from torchcaffe.errors import InputError
from torchcaffe.logs import (
    Logging,
    Measures,
    ProgressBar,
    Row,
    prepare_folder,
    several,
    tensorboard,
)
from torchcaffe.solvers import events
from torchcaffe.solvers.events import Output


def told(listener: events.Listener, *, end: int = 10) -> None:
    """A short run."""
    outputs = (Output("acc", 0.5, 0.0), Output("k", 1.0, 0.0), Output("k", 2.0, 0.0))
    for event in (
        events.Solving("net", "fixed"),
        events.Tested(0, 0, 2.5, outputs),
        events.Displayed(0, 1.5, (Output("loss", 1.25, 1.0),), 0, 0.0),
        events.Rated(0, 0.1),
        events.Updated(1, 1.25, 0.1),
        events.Snapshotting("model", Path("s_iter_1.caffemodel")),
        events.Snapshotting("state", Path("s_iter_1.solverstate")),
        events.FinalLoss(end, 0.5),
        events.Stopped(events.Stop.FINISHED),
    ):
        listener(event)


def test_rows_are_made_of_events() -> None:
    rows: list[Row] = []
    told(Measures(rows.append))
    test, train, final = rows
    assert test.outputs == {"acc": 0.5, "k[0]": 1.0, "k[1]": 2.0} and test.loss == 2.5
    assert (train.loss, train.lr, train.outputs, train.losses) == (
        1.5,
        0.1,
        {"loss": 1.25},
        {"loss"},
    )
    assert (final.iteration, final.loss, final.outputs) == (10, 0.5, {})


def test_several_listeners_hear_everything() -> None:
    first: list[events.Event] = []
    second: list[events.Event] = []
    told(several(first.append, second.append))
    assert len(first) == 9 and first == second


def test_a_terminal_shows_tests_snapshots_and_the_bar() -> None:
    stream = io.StringIO()
    bar = ProgressBar(Console(file=stream, force_terminal=True, width=120, highlight=False))
    with bar:
        told(bar)
    shown = stream.getvalue()
    assert "iteration 0, test: acc = 0.5, k[0] = 1, k[1] = 2, loss = 2.5 in all" in shown
    assert "snapshot s_iter_1.solverstate" in shown and "caffemodel" not in shown
    assert "loss 1.5  lr 0.1" in shown and "Optimization Done." in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_has_the_bar_and_a_file_caffe_s_lines(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Logging(tmp_path / "logs") as log:
        told(log)
    assert ("] Iteration 0, lr = 0.1" in stream.getvalue()) != terminal
    kept = (tmp_path / "logs" / "train.log").read_text()
    assert "] Iteration 0, lr = 0.1" in kept and "Optimization Done." in kept
    assert len((tmp_path / "logs" / "rows.jsonl").read_text().splitlines()) == 3
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))


def test_a_folder_s_log_ends_with_the_error(tmp_path: Path) -> None:
    with pytest.raises(InputError), Logging(tmp_path):
        raise InputError("the data are gone")
    assert "torchcaffe] the data are gone" in (tmp_path / "train.log").read_text()


def test_a_folder_of_another_run_is_refused_unless_the_run_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    with pytest.raises(InputError, match="the log of another run is in that folder"):
        prepare_folder(tmp_path, resuming=False)
    assert prepare_folder(tmp_path, resuming=True) == tmp_path
    with pytest.raises(InputError, match="cannot be made as a log folder"):
        prepare_folder(tmp_path / "rows.jsonl" / "below", resuming=False)


def test_without_tensorboard_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.warns(UserWarning, match=r'not there; pip install "torchcaffe\[tensorboard\]"'):
        assert tensorboard(tmp_path, 0) is None
