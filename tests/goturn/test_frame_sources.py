"""Where frames come from, and the words where they do not."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import scenes, write_clip, write_frames

from goturn.errors import DataError
from goturn.sources import natural_order, open_source


def test_a_folder_gives_its_images_in_natural_order(tmp_path: Path) -> None:
    source = open_source(str(write_frames(tmp_path / "frames")))
    frames = list(source)
    assert source.count == 12 and source.fps is None
    assert [name for name, _ in frames] == [f"{number}.png" for number in range(1, 13)]
    for (_, image), scene in zip(frames, scenes(), strict=True):
        np.testing.assert_array_equal(image, scene)


def test_a_folder_leaves_other_files_alone(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", 2)
    (folder / "boxes.txt").write_text("1,2,3,4\n")
    assert open_source(str(folder)).count == 2


def test_a_pattern_chooses_images(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    source = open_source(str(tmp_path / "frames" / "1*.png"))
    assert [name for name, _ in source] == ["1.png", "10.png", "11.png", "12.png"]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_a_video_gives_its_frames_and_its_speed(tmp_path: Path, name: str) -> None:
    source = open_source(str(write_clip(tmp_path / name)))
    assert (source.count, source.fps) == (12, 10.0)
    frames = list(source)
    assert [frame.name for frame in frames] == [str(number) for number in range(12)]
    assert frames[0].image.shape == (72, 96, 3)
    assert len(list(source)) == 12, "a source can be read again"


def test_a_video_that_breaks_says_so_after_its_last_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.avi", 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = open_source(str(path))
    with pytest.warns(UserWarning, match=r"clip.avi ends after \d+ of the 40 frames that it annou"):
        assert 0 < len(list(source)) < 40


def test_an_unreadable_image_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", 3)
    (folder / "2.png").write_bytes(b"no image")
    frames = iter(open_source(str(folder)))
    assert next(frames).name == "1.png"
    with pytest.raises(DataError, match=r"2.png is not an image that OpenCV can read"):
        next(frames)


def test_what_is_no_source_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.mp4").write_text("no video")
    cv2.imwrite(str(tmp_path / "one.png"), scenes(1)[0])
    for name, words in {
        "missing.mp4": r"missing.mp4 does not exist; a video, a folder of images, a pattern",
        "empty": r"empty has no images with one of the endings \.bmp, \.jpeg",
        "note.mp4": r"note.mp4 is not a video that OpenCV can read",
        "one.png": r"one.png is a single image; give its folder, or a video",
        "*.jpg": r"\*.jpg has no images of that pattern",
    }.items():
        with pytest.raises(DataError, match=words):
            open_source(str(tmp_path / name))


def test_a_camera_and_a_stream_that_are_not_there() -> None:
    with pytest.raises(DataError, match=r"camera 97 cannot be opened; is it there, and free\?"):
        open_source("97")
    with pytest.raises(DataError, match=r"file:///none does not answer with a video"):
        open_source("file:///none")


def test_natural_order() -> None:
    names = ["10.jpg", "9.jpg", "a2", "a10", "a1", "b"]
    assert sorted(names, key=natural_order) == ["9.jpg", "10.jpg", "a1", "a2", "a10", "b"]
