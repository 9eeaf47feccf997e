"""Batches: the examples in order, by any number of processes, and going on after a stop."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from narrow import write_alov, write_imagenet

from goturn.batches import Batches, Groups, NumberedGroups, ReplayedGroups
from goturn.data import alov, imagenet_det
from goturn.errors import DataError
from goturn.examples import Recipe, draw_step, original_recipe
from goturn.motion import GroupStream

SIZE = 32


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    write_alov(tmp_path / "alov")
    write_imagenet(tmp_path / "det")
    return original_recipe(
        imagenet_det.read(tmp_path / "det" / "images", tmp_path / "det" / "gt"),
        alov.read(tmp_path / "alov" / "images", tmp_path / "alov" / "gt"),
    )


def arrays(batches: Batches, count: int) -> list[dict[str, np.ndarray]]:
    return [{name: v.numpy() for name, v in batch.items()} for batch in islice(batches, count)]


def assert_same(ours: list[dict[str, np.ndarray]], theirs: list[dict[str, np.ndarray]]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for name in ("target", "image", "bbox"):
            np.testing.assert_array_equal(one[name], other[name])


KINDS = {"replayed": ReplayedGroups, "numbered": lambda r, s: NumberedGroups(r, s, 800)}


@pytest.mark.parametrize("kind", KINDS)
class TestBoth:
    def groups(self, kind: str, recipe: Recipe) -> Groups:
        return KINDS[kind](recipe, SIZE)

    def test_shapes(self, kind: str, recipe: Recipe) -> None:
        batch = next(Batches(self.groups(kind, recipe)))
        assert batch["target"].shape == batch["image"].shape == (50, 3, SIZE, SIZE)
        assert batch["bbox"].shape == (50, 4, 1, 1)

    def test_what_a_batch_leaves_begins_the_next(self, kind: str, recipe: Recipe) -> None:
        large = arrays(Batches(self.groups(kind, recipe), size=60), 1)[0]
        small = arrays(Batches(self.groups(kind, recipe), size=20), 3)
        for name, value in large.items():
            np.testing.assert_array_equal(value, np.concatenate([b[name] for b in small]))

    @pytest.mark.parametrize("done", [0, 1, 11, 3])
    def test_it_goes_on_after_a_stop(self, kind: str, recipe: Recipe, done: int) -> None:
        # 11 batches of 7 end with a group.
        unbroken = Batches(self.groups(kind, recipe), size=7)
        arrays(unbroken, done)
        state = unbroken.state_dict()
        resumed = Batches(self.groups(kind, recipe), size=7)
        resumed.load_state_dict(state)
        assert_same(arrays(resumed, 3), arrays(unbroken, 3))

    def test_bad_images_stop_it_or_are_counted(
        self, kind: str, recipe: Recipe, tmp_path: Path
    ) -> None:
        bad = tmp_path / "det" / "images" / "n01" / "n01_2.JPEG"
        bad.write_text("no image")
        with pytest.raises(DataError, match=r"n01_2\.JPEG is not an image .*; --skip-bad passes"):
            arrays(Batches(self.groups(kind, recipe)), 9)
        batches = Batches(self.groups(kind, recipe), skip_bad=True)
        arrays(batches, 9)
        ((words, times),) = batches.bad.items()
        assert str(bad) in words and times >= 1


def test_any_number_of_processes_makes_the_same(recipe: Recipe) -> None:
    alone = arrays(Batches(NumberedGroups(recipe, SIZE, 800)), 3)
    assert_same(arrays(Batches(NumberedGroups(recipe, SIZE, 800, workers=2)), 3), alone)


def test_seeds_and_ranks_have_examples_of_their_own(recipe: Recipe) -> None:
    groups = [NumberedGroups(recipe, SIZE, s, rank=r) for s, r in ((1, 0), (2, 0), (1, 1))]
    labels = {arrays(Batches(group), 1)[0]["bbox"].tobytes() for group in groups}
    assert len(labels) == 3


def test_groups_take_turns(recipe: Recipe) -> None:
    for number in range(4):
        pixels = recipe.group(number, GroupStream(1, number))
        assert len(pixels) == 11


def test_a_video_with_one_annotation_is_passed_over(tmp_path: Path) -> None:
    write_alov(tmp_path, videos=1, frames=1)
    (video,) = alov.read(tmp_path / "images", tmp_path / "gt")
    assert draw_step([video], GroupStream(1, 1)) is None
