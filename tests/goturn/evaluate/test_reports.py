"""Reports: from result files alone, several trackers side by side, refusals in words."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import goturn_pretend as pretend
from goturn import Box, Sequence
from goturn.errors import DataError, GoturnError
from goturn.evaluate import PROTOCOLS, draw, report, run

IMAGE = np.zeros((pretend.HEIGHT, pretend.WIDTH, 3), np.uint8)


@pytest.fixture
def ran(tmp_path: Path) -> tuple[list[Sequence], Path]:
    sequences = pretend.sequences((30, 20))
    for tracker in (pretend.Still, pretend.Drift):
        for kind in ("one-pass", "baseline"):
            folder = tmp_path / tracker.__name__
            list(run(tracker, sequences, folder, kind=kind, deterministic=True))
    return sequences, tmp_path


def resting(count: int = 12) -> Sequence:
    """An object that does not move."""
    return Sequence("rest", [IMAGE] * count, [Box(5, 5, 20, 15)] * count)


def test_a_perfect_tracker(tmp_path: Path) -> None:
    for kind in ("one-pass", "baseline"):
        list(run(pretend.Still, [resting()], tmp_path, kind=kind, deterministic=True))
    found = {
        name: report([resting()], [tmp_path], protocol).overall(tmp_path.name)
        for name, protocol in PROTOCOLS.items()
    }
    assert found["otb"]["auc"] == pytest.approx(20 / 21)
    assert found["otb"]["precision"] == found["otb"]["success_rate"] == 1
    assert [found["got10k"][key] for key in ("ao", "sr_50", "sr_75")] == [1, 1, 1]
    assert found["vot2014"]["accuracy"] == pytest.approx(1)
    assert found["vot2014"]["failures"] == found["vot2014"]["failures_per_sequence"] == 0


def test_every_number_has_its_words_and_its_toolkit(ran: tuple[list[Sequence], Path]) -> None:
    sequences, home = ran
    for protocol in PROTOCOLS.values():
        found = report(sequences, [home / "Still", home / "Drift"], protocol)
        assert list(found.scores) == ["Still", "Drift"]
        for name in found.scores:
            assert set(found.overall(name)) == set(found.numbers)
            assert found.overall(name)["frames_per_second"] > 0
            assert list(found.scores[name].sequences) == ["seq0", "seq1"]
        assert "got10k toolkit 0.1.3" in protocol.follows
        assert json.loads(json.dumps(found.to_json(), allow_nan=False))["trackers"]


def test_frames_that_do_not_count(tmp_path: Path) -> None:
    away = Box(40, 30, 60, 45)
    boxes = [Box(5, 5, 20, 15)] * 4 + [None, away, away, away]
    visible = [True] * 6 + [False] * 2
    sequence = Sequence("a", [IMAGE] * 8, boxes, visible)
    list(run(pretend.Still, [sequence], tmp_path))
    otb, got10k = (
        report([sequence], [tmp_path], PROTOCOLS[name]).scores[tmp_path.name].overall
        for name in ("otb", "got10k")
    )
    assert otb["success_rate"] == pytest.approx(4 / 5)
    assert got10k["ao"] == pytest.approx(3 / 4)


def test_a_tracker_that_gives_no_numbers_is_nowhere(tmp_path: Path) -> None:
    list(run(pretend.Still, [resting(5)], tmp_path))
    path = tmp_path / "rest" / "rest_001.txt"
    path.write_text("\n".join([*path.read_text().splitlines()[:4], "nan,nan,nan,nan"]))
    found = report([resting(5)], [tmp_path], PROTOCOLS["got10k"])
    assert found.scores[tmp_path.name].overall["ao"] == pytest.approx(3 / 4)


def test_too_short_for_accuracy_is_null_in_json(tmp_path: Path) -> None:
    list(run(pretend.Still, [resting(8)], tmp_path, kind="baseline", deterministic=True))
    found = report([resting(8)], [tmp_path], PROTOCOLS["vot2014"]).to_json()
    assert found["trackers"][tmp_path.name]["overall"]["accuracy"] is None


def test_without_times_there_is_no_speed(tmp_path: Path) -> None:
    (tmp_path / "rest.txt").write_text("5,5,15,10\n" * 4)
    found = report([resting(4)], [tmp_path], PROTOCOLS["otb"])
    assert np.isnan(found.speeds[tmp_path.name])
    assert found.overall(tmp_path.name)["auc"] == pytest.approx(20 / 21)


class TestRefusals:
    def test_missing_results_are_named(self, tmp_path: Path) -> None:
        for name, protocol in PROTOCOLS.items():
            where = "baseline/rest" if name == "vot2014" else "rest"
            words = f"{where}/rest_001.txt does not exist; the tracker was not run on rest"
            with pytest.raises(DataError, match=words):
                report([resting()], [tmp_path], protocol)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("1,2,3,4\n" * 3, "has 3 lines for 12 frames"),
            ("1,2,x,4\n" * 12, r':1: expected numbers, got "1,2,x,4"'),
            ("1,2,3\n" * 12, r"rest.txt:1: expected x,y,width,height, got \(1.0, 2.0, 3.0\)"),
        ],
    )
    def test_malformed_results(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "rest.txt").write_text(text)
        with pytest.raises(DataError, match=words):
            report([resting()], [tmp_path], PROTOCOLS["otb"])

    def test_a_code_that_vot_does_not_have(self, tmp_path: Path) -> None:
        path = tmp_path / "baseline" / "rest" / "rest_001.txt"
        path.parent.mkdir(parents=True)
        path.write_text("1\n" + "7\n" * 11)
        with pytest.raises(DataError, match=r"rest_001.txt:2: expected 0, 1, 2 or a box, got"):
            report([resting()], [tmp_path], PROTOCOLS["vot2014"])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("0.1\n" * 3, "should have 12 lines with as many times each; delete it, or run"),
            ("0.1\n" * 11 + "0.1,0.2\n", "should have 12 lines with as many times each"),
            ("0.1\n" * 11 + "fast\n", "rest_time.txt: could not convert string to float: 'fast'"),
        ],
    )
    def test_malformed_times(self, tmp_path: Path, text: str, words: str) -> None:
        list(run(pretend.Still, [resting()], tmp_path))
        (tmp_path / "rest" / "rest_time.txt").write_text(text)
        with pytest.raises(DataError, match=words):
            report([resting()], [tmp_path], PROTOCOLS["otb"])

    def test_a_test_set_is_measured_elsewhere(self, tmp_path: Path) -> None:
        sequence = replace(resting(3), boxes=[Box(5, 5, 20, 15), None, None])
        list(run(pretend.Still, [sequence], tmp_path))
        for name in ("otb", "got10k"):
            with pytest.raises(DataError, match="rest has no boxes after its first frame"):
                report([sequence], [tmp_path], PROTOCOLS[name])

    def test_nothing_to_count(self, tmp_path: Path) -> None:
        sequence = replace(resting(3), visible=[True, False, False])
        list(run(pretend.Still, [sequence], tmp_path))
        with pytest.raises(DataError, match="rest has no frame after the first that counts"):
            report([sequence], [tmp_path], PROTOCOLS["got10k"])

    def test_nothing_to_report_on(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="there is nothing to report on"):
            report([resting()], [], PROTOCOLS["otb"])


def test_two_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [tmp_path / part / "goturn" for part in ("a", "b")]
    for folder in folders:
        list(run(pretend.Still, [resting()], folder))
    assert list(report([resting()], folders, PROTOCOLS["otb"]).scores) == list(map(str, folders))
    with pytest.raises(DataError, match="a folder of results is given twice"):
        report([resting()], [folders[0], folders[0]], PROTOCOLS["otb"])


class TestPlots:
    def test_each_curve_is_a_picture(self, ran: tuple[list[Sequence], Path]) -> None:
        sequences, home = ran
        drawn = [
            path.name
            for name in PROTOCOLS
            for path in draw(
                report(sequences, [home / "Still", home / "Drift"], PROTOCOLS[name]), home / "plots"
            )
        ]
        assert drawn == ["otb_success.png", "otb_precision.png", "got10k_success.png"]
        assert all((home / "plots" / name).stat().st_size > 10_000 for name in drawn)

    def test_without_matplotlib(
        self, ran: tuple[list[Sequence], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sequences, home = ran
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(GoturnError, match=r'pip install "torchcaffe\[plots\]"'):
            draw(report(sequences, [home / "Still"], PROTOCOLS["otb"]), home / "plots")
