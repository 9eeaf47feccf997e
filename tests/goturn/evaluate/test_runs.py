"""Runs: what is written, what is not run again, what is refused, and re-initialisation by hand."""

import os
from collections.abc import Sequence as Ordered
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import goturn_pretend as pretend
from goturn import Box, Sequence
from goturn.errors import BoxError, DataError, GoturnError
from goturn.evaluate import Results, run
from goturn.evaluate.runs import reinitialised
from goturn.sequence import Image

IMAGE = np.zeros((pretend.HEIGHT, pretend.WIDTH, 3), np.uint8)


class NotToBeCalled:
    def init(self, image: Image, box: Ordered[float]) -> None:
        raise AssertionError("it ran again")

    def update(self, image: Image) -> tuple[bool, Ordered[float]]:
        raise AssertionError("it ran again")


class Restless(pretend.Still):
    """Answers differently each time."""

    calls = 0

    def update(self, image: Image) -> tuple[bool, tuple[float, ...]]:
        Restless.calls += 1
        return True, (*self.box[:3], self.box[3] + Restless.calls / 1000)


class Refuses(pretend.Still):
    def update(self, image: Image) -> tuple[bool, tuple[float, ...]]:
        raise BoxError("the box is too odd")


class BoxAlone(pretend.Still):
    def update(self, image: Image) -> tuple[float, ...]:  # type: ignore[override]
        return self.box


class Dies(pretend.Still):
    def update(self, image: Image) -> tuple[bool, tuple[float, ...]]:
        os._exit(9)


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*_0*.txt"))
    }


class TestOnePass:
    def test_files(self, tmp_path: Path) -> None:
        sequences = pretend.sequences((3, 2))
        finished = list(run(pretend.Still, sequences, tmp_path / "still"))
        assert [item.sequence.name for item in finished] == ["seq0", "seq1"]
        assert all(item.seconds > 0 and item.repetitions == 1 for item in finished)
        first = sequences[0].boxes[0]
        assert first is not None
        line = ",".join(f"{value:.4f}" for value in first.to_xywh())
        text = (tmp_path / "still" / "seq0" / "seq0_001.txt").read_text()
        assert text.splitlines() == [line] * 3
        seconds = (tmp_path / "still" / "seq0" / "seq0_time.txt").read_text().split()
        assert len(seconds) == 3 and all(float(value) >= 0 for value in seconds)
        assert not list(tmp_path.rglob("*.tmp"))

    def test_what_is_whole_is_not_run_again(self, tmp_path: Path) -> None:
        sequences = pretend.sequences((3, 4))
        list(run(pretend.Drift, sequences, tmp_path))
        before = files(tmp_path)
        again = list(run(NotToBeCalled, sequences, tmp_path))
        assert [item.seconds for item in again] == [0, 0]
        (tmp_path / "seq1" / "seq1_001.txt").write_text("1,2,3,4\n")
        list(run(pretend.Drift, sequences, tmp_path))
        assert files(tmp_path) == before

    def test_results_of_something_else_are_not_mixed_with(self, tmp_path: Path) -> None:
        sequences = pretend.sequences((3,))
        list(run(pretend.Still, sequences, tmp_path, made_by={"weights": "abc"}))
        list(run(pretend.Still, sequences, tmp_path, made_by={"weights": "abc"}))
        with pytest.raises(DataError, match='of another run: weights is "abc" there and "x" now'):
            list(run(pretend.Still, sequences, tmp_path, made_by={"weights": "x"}))

    def test_results_of_nobody_knows_what_are_not_taken_for_ours(self, tmp_path: Path) -> None:
        list(run(pretend.Still, pretend.sequences((3,)), tmp_path))
        path = tmp_path / "run.json"
        path.write_text("{")
        with pytest.raises(DataError, match=r"run.json is not JSON .*; delete it with its results"):
            list(run(pretend.Still, pretend.sequences((3,)), tmp_path))
        path.unlink()
        with pytest.raises(DataError, match=r"holds results and no run\.json that says what made"):
            list(run(pretend.Still, pretend.sequences((3,)), tmp_path))

    def test_a_tracker_with_another_interface(self, tmp_path: Path) -> None:
        words = r"seq0, frame 2: update should return \(ok, \(x, y, width, height\)\), and returned"
        with pytest.raises(GoturnError, match=words):
            list(run(BoxAlone, pretend.sequences((3,)), tmp_path))

    def test_several_processes_write_the_same(self, tmp_path: Path) -> None:
        sequences = pretend.sequences((20, 30, 25))
        list(run(pretend.Drift, sequences, tmp_path / "one"))
        finished = list(run(pretend.Drift, sequences, tmp_path / "two", jobs=2))
        assert sorted(item.sequence.name for item in finished) == ["seq0", "seq1", "seq2"]
        assert files(tmp_path / "one") == files(tmp_path / "two")

    def test_a_first_box_is_needed(self, tmp_path: Path) -> None:
        sequence = Sequence("a", [IMAGE] * 2, [None, Box(1, 2, 3, 4)])
        with pytest.raises(DataError, match="a has no box in its first frame to begin with"):
            list(run(pretend.Still, [sequence], tmp_path))

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_a_refusal_has_its_place(self, tmp_path: Path, jobs: int) -> None:
        with pytest.raises(BoxError, match="seq0, frame 2: the box is too odd"):
            list(run(Refuses, pretend.sequences((3,)), tmp_path, jobs=jobs))

    def test_an_unreadable_frame_is_named_and_the_rest_kept(self, tmp_path: Path) -> None:
        good, bad = pretend.sequences((3, 3))
        bad = replace(bad, frames=[IMAGE, tmp_path / "gone.jpg", IMAGE])
        with pytest.raises(DataError, match=r"gone.jpg does not exist"):
            list(run(pretend.Still, [good, bad], tmp_path / "out"))
        assert list(files(tmp_path / "out")) == ["seq0/seq0_001.txt"]

    def test_a_process_that_dies_is_said_to(self, tmp_path: Path) -> None:
        with pytest.raises(GoturnError, match="a process ended before its sequence did"):
            list(run(Dies, pretend.sequences((3,)), tmp_path, jobs=2))


def jumping() -> Sequence:
    """The object stays for 4 frames, then is elsewhere."""
    here, there = Box(0, 0, 10, 10), Box(30, 30, 40, 40)
    return Sequence("jump", [IMAGE] * 13, [here] * 4 + [there] * 9)


class TestReinitialisation:
    def test_it_starts_again_five_frames_after_a_failure(self) -> None:
        records, seconds = reinitialised(pretend.Still(), jumping())
        there = (30.0, 30.0, 10.0, 10.0)
        passed = [(0.0,)] * 4
        first = [(1.0,), *[(0.0, 0.0, 10.0, 10.0)] * 3]
        assert records == [*first, (2.0,), *passed, (1.0,), *[there] * 3]
        assert [np.isnan(value) for value in seconds] == [len(r) == 1 and not r[0] for r in records]

    def test_frames_without_a_truth_neither_fail_nor_start(self) -> None:
        sequence = jumping()
        boxes = list(sequence.boxes)
        boxes[4] = boxes[10] = None
        records, _ = reinitialised(pretend.Still(), replace(sequence, boxes=boxes))
        codes = [int(record[0]) if len(record) == 1 else "box" for record in records]
        assert codes == [1, *["box"] * 4, 2, 0, 0, 0, 0, 0, 1, "box"]

    def test_identical_repetitions_stop_after_three(self, tmp_path: Path) -> None:
        (finished,) = run(pretend.Still, [jumping()], tmp_path, kind="baseline")
        assert finished.repetitions == 3
        assert list(files(tmp_path)) == [f"baseline/jump/jump_00{n}.txt" for n in (1, 2, 3)]
        times = (tmp_path / "baseline" / "jump" / "jump_time.txt").read_text().splitlines()
        assert {line.count(",") for line in times} == {2}
        (again,) = run(NotToBeCalled, [jumping()], tmp_path, kind="baseline")
        assert (again.repetitions, again.seconds) == (3, 0)

    def test_others_are_repeated_fifteen_times(self, tmp_path: Path) -> None:
        (finished,) = run(Restless, [jumping()], tmp_path, kind="baseline")
        assert finished.repetitions == 15
        assert len(Results(tmp_path).records(jumping())) == 15

    def test_a_deterministic_tracker_is_run_once(self, tmp_path: Path) -> None:
        (finished,) = run(pretend.Still, [jumping()], tmp_path, kind="baseline", deterministic=True)
        assert finished.repetitions == 1
