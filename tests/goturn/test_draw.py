"""What is drawn can be seen, and leaves what it must."""

import numpy as np
import pytest
from clips import FIRST, scenes

from goturn.box import Box
from goturn.draw import COLOURS, PAPER, TRUTH, Tile, annotate, colour_of, fit, sheet, shrink


def has(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(near(image, colour).any())


def near(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the colour is, but for what smooth lines mix into it."""
    return (np.abs(image.astype(int) - colour) < 30).all(-1)


def test_every_object_has_its_own_colour() -> None:
    (image,) = scenes(1)
    before = image.copy()
    picture = annotate(image, [FIRST, FIRST.shifted(30, 20), None])
    np.testing.assert_array_equal(image, before)
    assert [has(picture, colour) for colour in COLOURS[:3]] == [True, True, False]
    assert len(set(COLOURS)) == len(COLOURS) and colour_of(len(COLOURS)) == COLOURS[0]


def test_the_truth_is_white_and_no_object() -> None:
    (image,) = scenes(1)
    assert not has(annotate(image, [FIRST]), TRUTH)
    assert has(annotate(image, [FIRST], truth=[FIRST.shifted(5, 5), None]), TRUTH)


def test_a_lost_object_is_dashed_and_labelled() -> None:
    (image,) = scenes(1, 320, 240)
    here, lost = (annotate(image, [Box(50, 60, 250, 200)], ok=[ok]) for ok in (True, False))
    edges = [near(picture[64:196, 48:53], COLOURS[0]).any(-1) for picture in (here, lost)]
    assert edges[0].all() and not edges[1].all() and edges[1].any()


@pytest.mark.parametrize(
    "box",
    [
        Box(-1e30, -5, 1e30, 1e9),
        Box(90, 10, 20, 60),
        Box(float("nan"), 0, 1, 1),
        Box(-500, -500, -400, -400),
    ],
)
def test_no_box_is_too_strange_to_draw(box: Box) -> None:
    (image,) = scenes(1)
    for ok in (True, False):
        assert annotate(image, [box], ok=[ok], labels=["a long name"]).shape == image.shape


def test_fit_keeps_the_whole_image() -> None:
    image = np.full((10, 20, 3), 200, np.uint8)
    fitted = fit(image, 40, 40)
    assert fitted.shape == (40, 40, 3)
    assert (fitted[10:30] == 200).all() and (fitted[:10] == 0).all() and (fitted[30:] == 0).all()


def test_shrink_takes_the_boxes_along() -> None:
    (image,) = scenes(1, 200, 100)
    small, (box,) = shrink(image, [Box(20, 10, 100, 50)], 50)
    assert small.shape == (25, 50, 3) and box == Box(5, 2.5, 25, 12.5)


def test_a_sheet_shows_every_tile() -> None:
    tiles = [Tile(image, str(number)) for number, image in enumerate(scenes(5))]
    page = sheet(tiles, title="five", columns=3, width=96)
    reds = (page == (40, 60, 200)).all(-1)
    assert reds.sum() == 5 * (tiles[0].image == (40, 60, 200)).all(-1).sum()
    assert (page[-40:, -90:] == PAPER).all(), "the place of the sixth is empty"
    with pytest.raises(ValueError, match="at least one tile"):
        sheet([])
