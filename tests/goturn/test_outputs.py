"""What tracking leaves: tables that say everything, videos that play, sheets."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import FIRST, MOVE, Knowing, scenes, write_frames

from goturn.box import Box
from goturn.errors import DataError
from goturn.outputs import CODECS, BoxFile, Output, Sheet, VideoFile
from goturn.sources import open_source
from goturn.track import Step, steps


def run(output: Output, folder: Path, *boxes: Box, count: int = 12) -> list[Path]:
    source = open_source(str(write_frames(folder / "frames", count)))
    for step in steps(source, Knowing(), lambda _: boxes):
        output.add(step)
    return output.close()


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    assert run(BoxFile(path, "frames"), tmp_path, FIRST, FIRST.shifted(50, 0)) == [path]
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 24
    assert ",".join(rows[0].values()) == "0,1.png,1,20.0000,16.0000,20.0000,20.0000,1"
    last = rows[-1]
    assert (last["frame"], last["name"], last["object"]) == ("11", "12.png", "2")
    assert float(last["x"]) == FIRST.x1 + 50 + 11 * MOVE[0] and last["ok"] == "0"


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    run(BoxFile(path, "frames"), tmp_path, FIRST.shifted(0.1, 0))
    content = json.loads(path.read_text())
    assert content["source"] == "frames" and content["names"][9] == "10.png"
    (found,) = content["objects"]
    assert found["boxes"][0] == list(FIRST.shifted(0.1, 0).to_xywh()), "doubles, all of them"
    assert found["ok"] == [True] * 12


def test_txt_is_what_benchmarks_read(tmp_path: Path) -> None:
    path = tmp_path / "boxes.txt"
    assert run(BoxFile(path, "frames"), tmp_path, FIRST) == [path]
    boxes = np.loadtxt(path, delimiter=",")
    assert boxes.shape == (12, 4)
    np.testing.assert_array_equal(boxes[3], FIRST.shifted(9, 3).to_xywh())


def test_txt_of_several_objects(tmp_path: Path) -> None:
    paths = run(BoxFile(tmp_path / "boxes.txt", "frames"), tmp_path, FIRST, FIRST.shifted(5, 5))
    assert [path.name for path in paths] == ["boxes.1.txt", "boxes.2.txt"]
    assert np.loadtxt(paths[1], delimiter=",")[0, 0] == 25


def test_an_object_that_is_pointed_out_later_has_no_boxes_before(tmp_path: Path) -> None:
    source = open_source(str(write_frames(tmp_path / "frames", 3)))
    outputs = [BoxFile(tmp_path / f"boxes{ending}", "frames") for ending in (".json", ".txt")]
    two = [FIRST, FIRST.shifted(1, 1)]
    tracker = Knowing()
    for step in steps(source, tracker, lambda _: two[:1], lambda s: two if s.number == 1 else None):
        for output in outputs:
            output.add(step)
    for output in outputs:
        output.close()
    second = json.loads((tmp_path / "boxes.json").read_text())["objects"][1]
    assert second == {"boxes": [None, [21, 17, 20, 20], [24, 18, 20, 20]], "ok": [None, True, True]}
    assert (tmp_path / "boxes.2.txt").read_text().startswith("nan,nan,nan,nan\n21.0000,17.0000")
    assert tracker.begun == 2


def test_boxes_are_written_as_the_original_writes_them(tmp_path: Path) -> None:
    """Its corners may have changed places; a number that is none stays none."""
    outputs = [BoxFile(tmp_path / f"boxes{ending}", "x") for ending in (".txt", ".json")]
    for output in outputs:
        for number, box in enumerate([Box(30, 20, 10, 5), Box(float("nan"), 0, 1, 1)]):
            output.add(Step(number, "0", scenes(1)[0], [box], [False], 0.0))
        output.close()
    assert (tmp_path / "boxes.txt").read_text().splitlines()[0] == "10.0000,5.0000,20.0000,15.0000"
    assert json.loads((tmp_path / "boxes.json").read_text())["objects"][0]["boxes"][1] is None


@pytest.mark.parametrize("ending", CODECS)
def test_a_video_plays(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    assert run(VideoFile(path, 10.0), tmp_path, FIRST) == [path]
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.1)
    shapes = []
    while (read := video.read())[0]:
        shapes.append(read[1].shape)
    assert shapes == [(72, 96, 3)] * 12
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["frames", path.name])


def test_a_video_takes_frames_of_changing_size(tmp_path: Path) -> None:
    output = VideoFile(tmp_path / "out.avi", 10.0)
    for number, size in enumerate([(96, 72), (60, 72), (200, 50)]):
        output.add(Step(number, str(number), scenes(1, *size)[0], [FIRST], [True], 0.0))
    output.close()
    assert [frame.image.shape for frame in open_source(str(tmp_path / "out.avi"))] == [
        (72, 96, 3)
    ] * 3


@pytest.mark.parametrize(
    ("count", "shown"), [(1, 1), (12, 12), (16, 16), (17, 9), (38, 10), (40, 11)]
)
def test_a_sheet_of_any_number_of_frames(tmp_path: Path, count: int, shown: int) -> None:
    output = Sheet(tmp_path / "sheet.png", "frames")
    for number in range(count):
        output.add(Step(number, str(number), scenes(1)[0], [FIRST], [True], 0.0))
    assert output.close() == [tmp_path / "sheet.png"]
    captions = [int(tile.caption) for tile in output._tiles]
    assert len(captions) == shown and captions[0] == 0 and captions[-1] == count - 1
    assert len(set(np.diff(captions[:-1]))) <= 1, "evenly spaced"
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_nothing_tracked_nothing_written(tmp_path: Path) -> None:
    for output in (
        BoxFile(tmp_path / "b.csv", "x"),
        VideoFile(tmp_path / "v.mp4", 25),
        Sheet(tmp_path / "s.png", "x"),
    ):
        assert output.close() == []
    assert not list(tmp_path.iterdir())


def test_words_for_files_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"--boxes takes a file that ends in \.csv, \.json, \.txt, "
    ):
        BoxFile(tmp_path / "boxes.xml", "x")
    with pytest.raises(DataError, match=r"--video takes a file that ends in \.mp4, "):
        VideoFile(tmp_path / "video", 25)
    with pytest.raises(DataError, match=r"--sheet takes an image such as sheet.png, got "):
        Sheet(tmp_path / "sheet.doc", "x")
    with pytest.raises(DataError, match=r"boxes.csv cannot be written: there is no folder .*none"):
        BoxFile(tmp_path / "none" / "boxes.csv", "x")
