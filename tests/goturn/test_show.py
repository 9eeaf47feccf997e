"""The data in pictures: what is shown is what the network sees."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from narrow import write_alov, write_imagenet

from goturn.box import Box
from goturn.cli import main
from goturn.errors import DataError, GoturnError
from goturn.motion import Motion
from goturn.sequence import Sequence
from goturn.show import (
    annotations_sheet,
    law_draws,
    law_figure,
    moves,
    scale_density,
    shift_density,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a little of both data sets."""
    write_alov(tmp_path / "alov")
    write_imagenet(tmp_path / "imagenet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ALOV = ["--alov", "alov/images", "--alov-gt", "alov/gt"]
BOTH = [*ALOV, "--imagenet", "imagenet/images", "--imagenet-gt", "imagenet/gt"]


def show(*args: str) -> int:
    try:
        main(["show", *args])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("how", [[], ["--replay"]])
def test_examples_and_batches(folder: Path, how: list[str]) -> None:
    assert show("examples", *BOTH, *how, "--groups", "3", "--size", "67", "-o", "e.png") == 0
    assert show("batch", *BOTH, *how, "--batch", "20", "--size", "67", "-o", "b.png") == 0
    examples, batch = cv2.imread("e.png"), cv2.imread("b.png")
    assert examples.shape[1] > 12 * 112 and batch.shape[1] > 5 * 2 * 112
    same = cv2.imread("e.png")
    show("examples", *BOTH, *how, "--groups", "3", "--size", "67", "-o", "e.png")
    np.testing.assert_array_equal(cv2.imread("e.png"), same)


def test_annotations(folder: Path) -> None:
    assert show("annotations", *ALOV, "--rows", "2", "--columns", "3", "-o", "a.png") == 0
    assert cv2.imread("a.png").shape[1] == 12 + 3 * (240 + 12)


def test_an_image_that_cannot_be_read_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (folder / "imagenet" / "images" / "n01").iterdir():
        path.write_bytes(b"no image")
    assert show("examples", *BOTH, "--groups", "2", "--size", "67") == 0
    err = capsys.readouterr().err
    assert "passed over: " in err and ".JPEG is not an image that OpenCV can read" in err


def test_words_for_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show("annotations") == 2
    assert "there is nothing to show: give --alov and --alov-gt, or --data" in _err(capsys)
    assert show("annotations", "--alov", "alov/images") == 2
    assert "--alov and --alov-gt belong together" in _err(capsys)
    assert show("examples") == 1
    assert "there is nothing to train with" in _err(capsys)
    assert show("annotations", *ALOV, "-o", "a.doc") == 1
    assert '-o takes an image such as sheet.png, got "a.doc"' in _err(capsys)
    with pytest.raises(DataError, match="still has no annotated frame"):
        annotations_sheet([Sequence("still", [Path("1.jpg")], [None])])


def _err(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_the_law_s_draws_follow_its_theory() -> None:
    """By the share of draws between bounds, each within five standard deviations."""
    motion, draws = Motion(), 5000
    for values, density, reach in zip(
        law_draws(motion, 800, draws),
        (shift_density(motion), scale_density(motion)),
        (1.0, 0.39),
        strict=True,
    ):
        assert len(values) == 2 * draws and np.abs(values).max() <= max(reach, 0.4) + 1e-12
        edges = np.linspace(-reach, reach, 13)
        fine = np.linspace(-reach, reach, 12 * 1000 + 1)
        middle = (fine[1:] + fine[:-1]) / 2
        shares = density(middle).reshape(12, 1000).sum(1) * (fine[1] - fine[0])
        counts, _ = np.histogram(values, edges)
        spread = np.sqrt(shares * (1 - shares) / len(values))
        assert (np.abs(counts / len(values) - shares) < 5 * spread).all()


def test_moves_are_those_between_annotated_frames() -> None:
    boxes = [Box.from_center(10, 10, 4, 2), None, Box.from_center(12, 11, 6, 2)]
    shifts, scales = moves([Sequence("one", [Path(str(i)) for i in range(3)], boxes)])
    np.testing.assert_allclose(sorted(shifts), [0.5, 0.5])
    np.testing.assert_allclose(sorted(scales), [0, 0.5])


def test_the_law_is_drawn(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    assert show("law", *ALOV, "--draws", "500", "-o", "law.png") == 0
    assert cv2.imread("law.png") is not None
    figure = law_figure(Motion(), draws=100)
    assert [axes.get_title() for axes in figure.axes] == [
        "shift of the centre",
        "change of the size",
    ]


def test_without_matplotlib_the_words_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(GoturnError, match=r'not installed: pip install "torchcaffe\[plots\]"'):
        law_figure(Motion(), draws=10)
