"""``goturn track`` as people run it, with a narrow network."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import scenes, write_clip, write_frames
from narrow import narrow_prototxt, narrow_weights

import goturn
from goturn import MultiTracker
from goturn.cli import main
from goturn.sources import open_source

BOX = "20,16,20,20"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return narrow_weights(tmp_path_factory.mktemp("narrow"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def track(*args: object) -> int:
    """The exit status."""
    try:
        main(["track", *map(str, args)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_it_writes_boxes_a_video_and_a_sheet(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(folder / "clip.mp4")
    asked = ["--boxes", "boxes.csv", "--video", "out.mp4", "--sheet", "sheet.png"]
    assert track("clip.mp4", "--box", BOX, "--weights", weights, *asked) == 0
    words = capsys.readouterr().out.splitlines()
    assert words[0].startswith("clip.mp4: 12 frames, 1 object, ")
    assert " frames per second (" in words[0] and "with reading and writing)" in words[0]
    assert words[-3:] == ["  boxes.csv", "  out.mp4", "  sheet.png"]
    assert len((folder / "boxes.csv").read_text().splitlines()) == 13
    assert open_source("out.mp4").fps == 10 and len(list(open_source("out.mp4"))) == 12
    assert cv2.imread("sheet.png") is not None


def test_the_boxes_are_the_tracker_s(folder: Path, weights: Path) -> None:
    write_frames(folder / "frames")
    boxes = [(20, 16, 20, 20), (5, 5, 40, 30)]
    given = [part for box in boxes for part in ("--box", ",".join(map(str, box)))]
    assert track("frames", *given, "--weights", weights, "--boxes", "b.json", "--quiet") == 0
    content = json.loads(Path("b.json").read_text())
    tracker = MultiTracker(weights)
    images = scenes()
    tracker.init(images[0], boxes)
    for number, image in enumerate(images[1:], 1):
        tracker.update(image)
        for found, box in zip(content["objects"], tracker.boxes, strict=True):
            x, y, width, height = box.to_xywh()
            expected = [min(x, x + width), min(y, y + height), abs(width), abs(height)]
            assert found["boxes"][number] == pytest.approx(expected, abs=1e-9)


def test_weights_of_any_kind_take_a_model(folder: Path, weights: Path) -> None:
    write_frames(folder / "frames", 3)
    model = narrow_prototxt(folder)
    assert track("frames", "--box", BOX, "--weights", weights, "--model", model) == 0


def test_quiet_says_nothing(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(folder / "frames", 3)
    assert track("frames", "--box", BOX, "--weights", weights, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_what_was_tracked_is_kept_when_an_image_cannot_be_read(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(folder / "frames")
    (folder / "frames" / "7.png").write_bytes(b"no image")
    asked = ["--boxes", "boxes.csv", "--video", "out.avi", "--sheet", "sheet.png"]
    assert track("frames", "--box", BOX, "--weights", weights, *asked) == 1
    out, err = capsys.readouterr()
    assert out.startswith("frames: 6 frames, 1 object")
    assert err.endswith("7.png is not an image that OpenCV can read\n")
    names = [row["name"] for row in csv.DictReader(Path("boxes.csv").read_text().splitlines())]
    assert names == [f"{number}.png" for number in range(1, 7)]
    assert len(list(open_source("out.avi"))) == 6 and (folder / "sheet.png").exists()


def test_what_was_tracked_is_kept_when_a_video_breaks(folder: Path, weights: Path) -> None:
    path = write_clip(folder / "clip.avi", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = subprocess.run(
        [sys.executable, "-m", "goturn", "track", "clip.avi", "--box", BOX,
         "--weights", str(weights), "--boxes", "boxes.txt"],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0
    assert "goturn: warning: clip.avi ends after" in done.stderr
    assert 1 < len((folder / "boxes.txt").read_text().splitlines()) < 40


def test_what_was_tracked_is_kept_on_ctrl_c(folder: Path, weights: Path) -> None:
    write_clip(folder / "clip.mp4", 3000)
    run = subprocess.Popen(
        [sys.executable, "-m", "goturn", "track", "clip.mp4", "--box", BOX,
         "--weights", str(weights), "--boxes", "boxes.txt", "--video", "out.mp4"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    for _ in range(600):
        if list(folder.glob(".out.*")):
            break
        time.sleep(0.05)
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130 and err.endswith("goturn: interrupted\n")
    count = len((folder / "boxes.txt").read_text().splitlines())
    assert 0 < count < 3000 and out.startswith(f"clip.mp4: {count} frame")
    assert len(list(open_source("out.mp4"))) == count


def test_one_output_that_cannot_be_written_leaves_the_others(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(folder / "frames", 3)
    (folder / "boxes.csv").mkdir()
    asked = ["--boxes", "boxes.csv", "--sheet", "sheet.png"]
    assert track("frames", "--box", BOX, "--weights", weights, *asked) == 1
    assert "boxes.csv cannot be written (is a directory)" in capsys.readouterr().err
    assert (folder / "sheet.png").exists()


def test_frames_may_change_their_size(folder: Path, weights: Path) -> None:
    write_frames(folder / "frames", 3)
    cv2.imwrite("frames/2.png", scenes(1, 200, 100)[0])
    asked = ["--video", "out.mp4", "--sheet", "sheet.png", "--boxes", "boxes.txt"]
    assert track("frames", "--box", BOX, "--weights", weights, *asked) == 0
    assert np.loadtxt("boxes.txt", delimiter=",").shape == (3, 4)


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--box", "1,2,3"], 2, 'takes X,Y,WIDTH,HEIGHT, four numbers with commas between them'),
        (["--box", "500,20,30,30"], 1, "(x 500, y 20, width 30, height 30) lies outside the image"),
        (["--box", "5,20,0,30"], 1, "is empty: width and height must be above 0"),
        (["--box", "nan,20,3,30"], 1, "is not of finite numbers"),
        (["--box", BOX, "--boxes", "b.xml"], 1, "--boxes takes a file that ends in .csv, .json"),
        (["--box", BOX, "--device", "cuda:99"], 1, 'the device "cuda:99" cannot be used: '),
        (["--box", BOX, "--fps", "0"], 2, "--fps"),
    ],
)  # fmt: skip
def test_wrong_input(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str],
    args: list[str], status: int, words: str,
) -> None:  # fmt: skip
    write_frames(folder / "frames", 3)
    assert track("frames", "--weights", weights, *args) == status
    assert words in " ".join(capsys.readouterr().err.split())
    assert {path.name for path in folder.iterdir()} == {"frames"}


def test_without_weights_it_says_where_they_come_from(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track("frames", "--box", BOX) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "--weights is missing: the file of a trained GOTURN" in err
    assert "the original's tracker.caffemodel" in err and '"goturn train" saved' in err


def test_without_a_box_or_a_screen_it_says_how_to_give_one(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tkinter", reason="Python was built without tkinter")
    if sys.platform != "linux":
        pytest.skip("a screen needs no DISPLAY here")
    monkeypatch.delenv("DISPLAY", raising=False)
    write_frames(folder / "frames", 3)
    assert track("frames", "--weights", weights) == 1
    assert "give the box on the command line: --box X,Y,WIDTH,HEIGHT" in capsys.readouterr().err


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(goturn.__file__).parents[1])}
