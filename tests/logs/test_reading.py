"""Logs read back, whatever wrote them."""

import csv
import json
import math
import os
import sys
from pathlib import Path

import pytest
from samples import BEFORE_1_0, NEW, OLD, RESUMED

from torchcaffe.errors import InputError, ParseError
from torchcaffe.logs import JsonLines, Row, RunLog, as_json, plot, read_log, write_csv


def log_of(folder: Path, text: str) -> RunLog:
    path = folder / "some.log"
    path.write_text(text)
    return read_log(path)


@pytest.mark.parametrize("text", [OLD, NEW], ids=["MMDD", "YYYYMMDD"])
def test_a_log_of_caffe_1_0(tmp_path: Path, text: str) -> None:
    log = log_of(tmp_path, text)
    first, second = log.train
    assert (first.iteration, first.loss, first.lr, first.seconds) == (0, 2.3, 0.01, 1.0)
    assert first.outputs == {"loss": 2.3} and first.losses == {"loss"}
    assert second.loss is not None and math.isnan(second.loss)
    assert second.outputs == {"loss": -math.inf} and (second.lr, second.seconds) == (1e-05, 3.0)
    (test,) = log.tests[0]
    assert test.outputs == {"accuracy": 0.1009, "loss": 2.3} and test.losses == {"loss"}
    assert log.tests[1][0].loss == 2.5


def test_a_log_without_its_beginning_and_without_speeds(tmp_path: Path) -> None:
    log = log_of(tmp_path, BEFORE_1_0)
    assert [(row.iteration, row.loss, row.seconds) for row in log.train] == [
        (0, 1.5, 0.0),
        (10, 1.25, 10.0),
    ]


def test_what_a_resumed_run_did_again_counts(tmp_path: Path) -> None:
    log = log_of(tmp_path, RESUMED)
    assert [(row.iteration, row.loss) for row in log.train] == [
        (0, 1.5),
        (10, 1.5),
        (20, 1.25),
        (30, 0.5),
    ]


def test_the_29th_of_february_needs_no_year(tmp_path: Path) -> None:
    path = tmp_path / "leap.log"
    path.write_text(BEFORE_1_0.replace("I0501", "I0229", 3).replace("I0501", "I0301"))
    os.utime(path, (1e9, 1e9))  # in 2001
    assert len(read_log(path).train) == 2


def test_lines_within_other_text(tmp_path: Path) -> None:
    log = log_of(tmp_path, "".join(f"worker-0 | {line}\n" for line in OLD.splitlines()))
    assert [row.seconds for row in log.train] == [1.0, 3.0]


def test_json_lines_come_back(tmp_path: Path) -> None:
    rows = [
        Row(0, None, math.nan, 0.1, 1.0, {"loss": math.inf}, frozenset({"loss"})),
        Row(0, 1, None, None, 2.0, {"a[0]": 0.5, "a[1]": -1.0}),
    ]
    write = JsonLines(tmp_path / "rows.jsonl")
    for row in rows:
        write(row)
    again = JsonLines(tmp_path / "rows.jsonl")
    assert again.before == 2.0
    again(Row(10, None, 0.25, seconds=1.0))
    log = read_log(tmp_path)
    assert log.name == tmp_path.name
    assert [row.iteration for row in log.train] == [0, 10]
    assert math.isnan(log.train[0].loss or 0.0) and log.train[0].outputs == {"loss": math.inf}
    assert log.train[1].seconds == 3.0
    assert log.tests == {1: [rows[1]]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no log\n", 'has no iterations: no line like "Iteration 100, loss = 0.5"'),
        ('{"phase": "train"}\n', r"some\.log:1: this is no row of torchcaffe's log"),
        ('{"phase": \n', r"some\.log:1: this is no row"),
        ('{"phase": ', "has no iterations"),
    ],
)
def test_what_is_no_log(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        log_of(tmp_path, text)


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="gone does not exist; a log of Caffe's or torchcaffe's"):
        read_log(tmp_path / "gone")


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"rows\.jsonl does not exist"):
        read_log(tmp_path)


def test_a_row_that_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    JsonLines(path)(Row(0, loss=1.0, seconds=2.5))
    whole = path.read_text()
    path.write_text(whole + whole[:30])
    assert len(read_log(tmp_path).train) == 1
    assert JsonLines(path).before == 2.5
    assert path.read_text() == whole


def test_a_file_of_other_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"seconds": 1}\n{"sec\n')
    with pytest.raises(InputError, match="its last line is not one of torchcaffe's rows"):
        JsonLines(tmp_path / "rows.jsonl")


def test_tables_as_parse_log_writes_them(tmp_path: Path) -> None:
    paths = write_csv(log_of(tmp_path, OLD), tmp_path / "tables")
    assert [path.name for path in paths] == ["some.log.train", "some.log.test", "some.log.test1"]
    rows = list(csv.reader(paths[0].read_text().splitlines()))
    assert rows[0] == ["NumIters", "Seconds", "LearningRate", "loss"]
    assert rows[1:] == [["0.0", "1.0", "0.01", "2.3"], ["100.0", "3.0", "1e-05", "-inf"]]
    assert list(csv.reader(paths[1].read_text().splitlines()))[1] == [
        "0.0",
        "0.2",
        "0.01",
        "0.1009",
        "2.3",
    ]


def test_json_has_no_numbers_that_are_none(tmp_path: Path) -> None:
    found = json.loads(json.dumps(as_json(log_of(tmp_path, OLD)), allow_nan=False))
    assert found["train"][1]["loss"] == "nan" and found["train"][1]["outputs"] == {"loss": "-inf"}
    assert list(found["tests"]) == ["0", "1"]


@pytest.mark.parametrize("against", ["iterations", "seconds"])
def test_curves(tmp_path: Path, against: str) -> None:
    logs = [log_of(tmp_path, OLD), log_of(tmp_path, RESUMED)]
    plot(logs, tmp_path / "curves.png", against=against)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    plot(logs[:1], tmp_path / "curves.svg", against=against)
    assert "<svg" in (tmp_path / "curves.svg").read_text()


def test_an_image_of_no_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"curves\.abc: an image\'s name ends in one of .*png"):
        plot([log_of(tmp_path, OLD)], tmp_path / "curves.abc")


def test_curves_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r'pip install "torchcaffe\[plots\]"'):
        plot([log_of(tmp_path, OLD)], tmp_path / "curves.png")
