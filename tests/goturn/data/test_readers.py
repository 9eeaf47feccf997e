"""Tiny data sets in each format: frames in order, boxes in our convention, errors in words."""

import json
import math
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from goturn import Box, Sequence
from goturn.data import data_sets, read_data_set, read_named
from goturn.data._boxes import numbered_frames
from goturn.data._columns import Boxes, NumberedFrames
from goturn.data.uav123 import RANGES
from goturn.errors import DataError


def frames(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def xywh(sequence: Sequence) -> list[tuple[float, ...] | None]:
    return [box and box.to_xywh() for box in sequence.boxes]


def file_names(sequence: Sequence) -> list[str]:
    return [frame.name for frame in sequence.frames if isinstance(frame, Path)]


def one(name: str, folder: Path, **options: Any) -> Sequence:
    (found,) = read_data_set(name, folder, **options)
    return found


@pytest.fixture
def got10k(tmp_path: Path) -> Path:
    """One sequence of three frames, which the list names, in the subset val."""
    folder = tmp_path / "val" / "GOT-10k_Val_000001"
    frames(folder, (f"{number:08d}.jpg" for number in (1, 2, 3)))
    write(folder / "groundtruth.txt", "1,2,3,4\n2.5,2,3,4\n3,2,3,4\n")
    write(folder / "cover.label", "8\n0\n3\n")
    write(folder / "absence.label", "0\n0\n0\n")
    write(tmp_path / "val" / "list.txt", "GOT-10k_Val_000001\n")
    return tmp_path


class TestGot10k:
    def test_boxes_are_taken_as_they_are(self, got10k: Path) -> None:
        found = one("got10k", got10k, subset="val")
        assert found.name == "GOT-10k_Val_000001"
        assert file_names(found) == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
        assert xywh(found) == [(1, 2, 3, 4), (2.5, 2, 3, 4), (3, 2, 3, 4)]
        assert found.boxes[0] == Box(1, 2, 4, 6)

    def test_a_frame_is_visible_where_its_cover_is_above_0(self, got10k: Path) -> None:
        found = one("got10k", got10k / "val")
        assert found.visible == [True, False, True]

    def test_without_cover_absence_decides(self, got10k: Path) -> None:
        folder = got10k / "val" / "GOT-10k_Val_000001"
        (folder / "cover.label").unlink()
        write(folder / "absence.label", "0\n0\n1\n")
        assert one("got10k", got10k / "val").visible == [True, True, False]

    def test_a_test_sequence_has_its_first_box_alone(self, got10k: Path) -> None:
        folder = got10k / "val" / "GOT-10k_Val_000001"
        write(folder / "groundtruth.txt", "1,2,3,4\n")
        for path in folder.glob("*.label"):
            path.unlink()
        found = one("got10k", got10k / "val")
        assert xywh(found) == [(1, 2, 3, 4), None, None]
        assert found.visible is None

    def test_the_root_needs_a_subset(self, got10k: Path) -> None:
        with pytest.raises(DataError, match="choose one with subset=train, val or test"):
            read_data_set("got10k", got10k)
        with pytest.raises(DataError, match='"train", "val" or "test", got "all"'):
            read_data_set("got10k", got10k, subset="all")

    def test_what_is_not_there_is_named(self, got10k: Path) -> None:
        listing = write(got10k / "val" / "list.txt", "GOT-10k_Val_000001\nGOT-10k_Val_000002\n")
        with pytest.raises(DataError, match=f"{listing}:2: there is no sequence GOT-10k_Val_00000"):
            read_data_set("got10k", got10k / "val")

    def test_a_missing_frame_is_named(self, got10k: Path) -> None:
        (got10k / "val" / "GOT-10k_Val_000001" / "00000002.jpg").unlink()
        with pytest.raises(DataError, match=r"00000002.jpg does not exist, but 00000003.jpg does"):
            read_data_set("got10k", got10k / "val")

    def test_counts_must_agree(self, got10k: Path) -> None:
        folder = got10k / "val" / "GOT-10k_Val_000001"
        write(folder / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n")
        with pytest.raises(DataError, match=r"groundtruth.txt has 2 boxes for the 3 frames in /"):
            read_data_set("got10k", got10k / "val")
        write(folder / "groundtruth.txt", "1,2,3,4\n" * 3)
        write(folder / "cover.label", "8\n8\n")
        with pytest.raises(DataError, match=r"groundtruth.txt are 2 for 3 frames"):
            read_data_set("got10k", got10k / "val")

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("1,2,three,4", 'expected x, y, width, height, got "1 2 three 4"'),
            ("1,2,3", 'expected x, y, width, height, got 3 numbers: "1,2,3"'),
            ("1,2,nan,4", 'expected x, y, width, height, got "1 2 nan 4"'),
            ("1,2,inf,4", 'expected x, y, width, height, got "1 2 inf 4"'),
        ],
    )
    def test_a_malformed_line_has_its_place(self, got10k: Path, line: str, words: str) -> None:
        folder = got10k / "val" / "GOT-10k_Val_000001"
        path = write(folder / "groundtruth.txt", f"1,2,3,4\n{line}\n1,2,3,4\n")
        with pytest.raises(DataError, match=f"{path}:2: {words}"):
            read_data_set("got10k", got10k / "val")


class TestColumns:
    """Frames and boxes are made when they are asked for, and look like lists all the same."""

    def test_frames(self, tmp_path: Path) -> None:
        frames(tmp_path / "images", (f"{number:04d}.jpg" for number in range(8, 12)))
        found = numbered_frames(tmp_path / "images")
        assert isinstance(found, NumberedFrames)
        assert [path.name for path in found[1:3]] == ["0009.jpg", "0010.jpg"]
        assert found[-1] == tmp_path / "images" / "0011.jpg"
        with pytest.raises(IndexError):
            found[4]

    def test_names_without_a_rule_stay_names(self, tmp_path: Path) -> None:
        frames(tmp_path / "images", ["01.jpg", "2.jpg", "003.jpg"])
        found = numbered_frames(tmp_path / "images")
        assert [path.name for path in found] == ["01.jpg", "2.jpg", "003.jpg"]

    def test_boxes(self) -> None:
        found = Boxes([[1, 2, 3, 4], [1, 2, 0, 4], [1, 2, 3, math.nan]])
        assert list(found) == [Box(1, 2, 4, 6), None, None]
        assert found[0:1] == [Box(1, 2, 4, 6)]
        assert len(Boxes([])) == 0


class TestLasot:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name in ("cat-2", "cat-10"):
            folder = tmp_path / "lasot" / "cat" / name
            frames(folder / "img", (f"{number:08d}.jpg" for number in (1, 2, 3, 4)))
            write(folder / "groundtruth.txt", "1,2,3,4\n2,2,3,4\n2,2,3,4\n0,0,0,0\n")
            write(folder / "full_occlusion.txt", "0,1,0,0")
            write(folder / "out_of_view.txt", "0,0,1,0")
        return tmp_path / "lasot"

    def test_labels_and_boxes_without_an_extent_are_not_visible(self, root: Path) -> None:
        first, second = read_data_set("lasot", root)
        assert (first.name, second.name) == ("cat-10", "cat-2")
        assert first.visible == [True, False, False, False]
        assert xywh(first) == [(1, 2, 3, 4), (2, 2, 3, 4), (2, 2, 3, 4), None]

    def test_a_file_of_names_chooses(self, root: Path, tmp_path: Path) -> None:
        names = write(tmp_path / "testing_set.txt", "cat-2\n")
        assert one("lasot", root, names=str(names)).name == "cat-2"
        assert one("lasot", root / "cat", names=str(names)).name == "cat-2"
        write(names, "cat-2\ndog-1\n")
        with pytest.raises(DataError, match=f"{names}:2: there is no sequence dog-1"):
            read_data_set("lasot", root, names=str(names))

    def test_labels_must_be_as_many_as_boxes(self, root: Path) -> None:
        path = write(root / "cat" / "cat-2" / "out_of_view.txt", "0,0,1")
        with pytest.raises(DataError, match=f"{path} has 3 labels for 4 boxes"):
            read_data_set("lasot", root)


class TestTrackingNet:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for part, name in (("TRAIN_2", "b"), ("TRAIN_10", "a"), ("TEST", "c")):
            frames(tmp_path / part / "frames" / name, (f"{number}.jpg" for number in range(11)))
            text = "".join(f"{number},2,3,4\n" for number in range(11))
            write(tmp_path / part / "anno" / f"{name}.txt", "5,6,7,8\n" if part == "TEST" else text)
        return tmp_path

    def test_frames_are_in_the_order_of_their_numbers(self, root: Path) -> None:
        found = read_data_set("trackingnet", root)
        assert [item.name for item in found] == ["b", "a"]
        assert file_names(found[0]) == [f"{number}.jpg" for number in range(11)]
        assert [box and box.x1 for box in found[0].boxes] == list(range(11))

    def test_parts(self, root: Path) -> None:
        assert xywh(one("trackingnet", root, part="test")) == [(5, 6, 7, 8), *[None] * 10]
        assert one("trackingnet", root, part="TRAIN_10").name == "a"
        assert one("trackingnet", root / "TRAIN_2").name == "b"
        with pytest.raises(DataError, match='has no part "val"; parts with an anno folder there'):
            read_data_set("trackingnet", root, part="val")


class TestOtb:
    def sequence(self, root: Path, name: str, numbers: Iterable[int], boxes: int) -> None:
        frames(root / name / "img", (f"{number:04d}.jpg" for number in numbers))
        write(root / name / "groundtruth_rect.txt", "1,2,3,4\n" * boxes)

    def test_separators(self, tmp_path: Path) -> None:
        frames(tmp_path / "Bolt" / "img", ["0001.jpg", "0002.jpg", "0003.jpg"])
        write(tmp_path / "Bolt" / "groundtruth_rect.txt", "336,165, 26,61\r\n1\t2\t3\t4\n1 2  3 4")
        assert xywh(one("otb", tmp_path)) == [(336, 165, 26, 61), (1, 2, 3, 4), (1, 2, 3, 4)]

    def test_pixels_from_1_are_shifted_only_on_request(self, tmp_path: Path) -> None:
        self.sequence(tmp_path, "Bolt", [1], 1)
        assert xywh(one("otb", tmp_path)) == [(1, 2, 3, 4)]
        assert xywh(one("otb", tmp_path, first_pixel=1)) == [(0, 1, 3, 4)]

    def test_two_targets(self, tmp_path: Path) -> None:
        for name, texts in (("Jogging", ("1 2 3 4", "5 6 7 8")), ("Human4", ("", "5 6 7 8"))):
            frames(tmp_path / name / "img", ["0001.jpg"])
            for number, text in enumerate(texts, 1):
                write(tmp_path / name / f"groundtruth_rect.{number}.txt", text)
        found = {item.name: xywh(item) for item in read_data_set("otb", tmp_path)}
        assert found == {
            "Human4": [(5, 6, 7, 8)],
            "Jogging.1": [(1, 2, 3, 4)],
            "Jogging.2": [(5, 6, 7, 8)],
        }

    @pytest.mark.parametrize(
        ("name", "there", "first", "last"),
        [
            ("David", range(1, 771), "0300", "0770"),
            ("David", range(300, 771), "0300", "0770"),
            ("Football1", range(1, 80), "0001", "0074"),
            ("BlurCar1", range(240, 260), "0247", "0259"),
        ],
    )
    def test_ranges(self, tmp_path: Path, name: str, there: range, first: str, last: str) -> None:
        self.sequence(tmp_path, name, there, int(last) - int(first) + 1)
        names = file_names(one("otb", tmp_path))
        assert (names[0], names[-1]) == (f"{first}.jpg", f"{last}.jpg")

    def test_otb2013_names_its_folders(self, tmp_path: Path) -> None:
        self.sequence(tmp_path, "Basketball", [1], 1)
        self.sequence(tmp_path, "Vase", [1], 1)
        with pytest.raises(DataError, match=r"/Bolt is not a folder that can be read"):
            read_data_set("otb", tmp_path, version="2013")
        with pytest.raises(DataError, match='"2013" or "all", got "2014"'):
            read_data_set("otb", tmp_path, version="2014")

    def test_a_folder_without_annotations_is_named(self, tmp_path: Path) -> None:
        frames(tmp_path / "Bolt" / "img", ["0001.jpg"])
        with pytest.raises(DataError, match=r"Bolt has no groundtruth_rect.txt"):
            read_data_set("otb", tmp_path)


class TestVot:
    def test_rectangles_and_polygons(self, tmp_path: Path) -> None:
        frames(tmp_path / "ball", ["00000001.jpg", "00000002.jpg", "00000003.jpg"])
        text = "1,2,3,4\n10,20,30,25,28,40,8,35\nnan,nan,nan,nan\n"
        write(tmp_path / "ball" / "groundtruth.txt", text)
        found = one("vot", tmp_path)
        assert xywh(found) == [(1, 2, 3, 4), (8, 20, 22, 20), None]
        assert found.outlines == [None, ((10, 20), (30, 25), (28, 40), (8, 35)), None]
        shifted = one("vot", tmp_path, first_pixel=1)
        assert xywh(shifted)[:2] == [(0, 1, 3, 4), (7, 19, 22, 20)]
        assert shifted.outlines and shifted.outlines[1] == ((9, 19), (29, 24), (27, 39), (7, 34))

    def test_frames_in_color_and_the_order_of_the_list(self, tmp_path: Path) -> None:
        for name in ("a", "b", "c"):
            frames(tmp_path / name / "color", ["00000001.jpg"])
            write(tmp_path / name / "groundtruth.txt", "1,2,3,4")
        write(tmp_path / "list.txt", "c\na\n")
        found = read_data_set("vot", tmp_path)
        assert [item.name for item in found] == ["c", "a"]
        assert list(found[0].frames) == [tmp_path / "c" / "color" / "00000001.jpg"]
        assert found[0].outlines is None

    def test_what_is_no_region(self, tmp_path: Path) -> None:
        frames(tmp_path / "a", ["00000001.jpg"])
        path = write(tmp_path / "a" / "groundtruth.txt", "m0,0,3,3,0,9")
        with pytest.raises(DataError, match=f"{path}:1: masks are not read"):
            read_data_set("vot", tmp_path)
        write(path, "1,2,3,4,5")
        with pytest.raises(DataError, match="the x and y of four corners, got 5 numbers"):
            read_data_set("vot", tmp_path)


class TestUav123:
    def root(self, tmp_path: Path) -> Path:
        frames(
            tmp_path / "data_seq/UAV123/bird1", (f"{number:06d}.jpg" for number in range(1, 2438))
        )
        frames(tmp_path / "data_seq/UAV123/bike2", ["000001.jpg", "000002.jpg"])
        frames(tmp_path / "data_seq/UAV123/car1_s", ["000001.jpg"])
        write(tmp_path / "anno/UAV123/bike2.txt", "1,2,3,4\nNaN,NaN,NaN,NaN\n")
        write(tmp_path / "anno/UAV123/car1_s.txt", "1,2,3,4\n")
        write(tmp_path / "anno/UAV123/bird1_2.txt", "1,2,3,4\n" * 703)
        write(tmp_path / "anno/UAV20L/bird1.txt", "1,2,3,4\n" * 2437)
        return tmp_path

    def test_parts_of_folders_and_absent_frames(self, tmp_path: Path) -> None:
        bike, bird, car = read_data_set("uav123", self.root(tmp_path))
        assert [item.name for item in (bike, bird, car)] == ["bike2", "bird1_2", "car1_s"]
        assert len(car) == 1
        assert xywh(bike) == [(1, 2, 3, 4), None]
        names = file_names(bird)
        assert (names[0], names[-1], len(names)) == ("000775.jpg", "001477.jpg", 703)

    def test_uav20l_has_whole_folders(self, tmp_path: Path) -> None:
        assert len(one("uav123", self.root(tmp_path), part="UAV20L")) == 2437
        with pytest.raises(DataError, match='takes "UAV123" or "UAV20L", got "uav"'):
            read_data_set("uav123", tmp_path, part="uav")

    def test_a_part_that_the_table_does_not_have(self, tmp_path: Path) -> None:
        write(self.root(tmp_path) / "anno/UAV123/bird1_4.txt", "1,2,3,4")
        with pytest.raises(DataError, match=r"bird1_4.txt: bird1 has parts 1 to 3"):
            read_data_set("uav123", tmp_path)

    def test_the_table_is_the_toolkits(self) -> None:
        table = files("got10k").joinpath("datasets/uav123.json")
        theirs = json.loads(table.read_text())["UAV123"]
        for name, entry in theirs.items():
            folder, _, number = name.rpartition("_")
            if entry["folder_name"] == name:
                assert entry["start_frame"] == 1
                assert folder not in RANGES or not number.isdecimal()
            else:
                first_and_last = (entry["start_frame"], entry["end_frame"])
                assert RANGES[entry["folder_name"]][int(number) - 1] == first_and_last
        assert sum(map(len, RANGES.values())) == 51


class TestNfs:
    def sequence(self, root: Path, rate: int, count: int, lines: int) -> None:
        frames(root / "ball" / str(rate) / "ball", (f"{n:05d}.jpg" for n in range(1, count + 1)))
        text = "".join(f'0 {n} 20 {n + 30} 60 {n} 0 0 0 "ball"\n' for n in range(lines))
        write(root / "ball" / str(rate) / "ball.txt", text)

    def test_corners_and_every_eighth_line(self, tmp_path: Path) -> None:
        self.sequence(tmp_path, 30, 3, 24)
        found = one("nfs", tmp_path)
        assert xywh(found) == [(0, 20, 30, 40), (8, 20, 30, 40), (16, 20, 30, 40)]
        self.sequence(tmp_path, 240, 24, 24)
        assert len(one("nfs", tmp_path, rate=240)) == 24

    def test_one_line_too_many_is_how_it_is(self, tmp_path: Path) -> None:
        self.sequence(tmp_path, 240, 9, 10)
        assert len(one("nfs", tmp_path, rate=240)) == 9
        self.sequence(tmp_path, 240, 9, 12)
        with pytest.raises(DataError, match=r"ball.txt has 12 boxes for the 9 frames"):
            read_data_set("nfs", tmp_path, rate=240)

    def test_refusals(self, tmp_path: Path) -> None:
        self.sequence(tmp_path, 30, 1, 1)
        path = write(tmp_path / "ball" / "30" / "ball.txt", "0 1 2 3")
        with pytest.raises(DataError, match=f"{path}:1: expected a number, x1, y1, x2, y2"):
            read_data_set("nfs", tmp_path)
        with pytest.raises(DataError, match="rate takes 30 or 240, got 25"):
            read_named(f"nfs={tmp_path},rate=25")


class TestFolder:
    def test_one_sequence_or_several(self, tmp_path: Path) -> None:
        for name in ("walk", "run"):
            frames(tmp_path / name / "images", ["10.png", "2.png", "1.JPG", "notes.txt"])
            write(tmp_path / name / "boxes.txt", "1, 2, 3, 4\n-\n5 6\t7.5 8\n")
        found = read_data_set("folder", tmp_path)
        assert [item.name for item in found] == ["run", "walk"]
        alone = one("folder", tmp_path / "walk")
        assert file_names(alone) == ["1.JPG", "2.png", "10.png"]
        assert xywh(alone) == [(1, 2, 3, 4), None, (5, 6, 7.5, 8)]

    @pytest.mark.parametrize("line", ["1 2 3", "1 2 0 4", "x", "nan nan nan nan"])
    def test_a_line_is_a_box_or_a_dash(self, tmp_path: Path, line: str) -> None:
        frames(tmp_path / "images", ["1.png"])
        path = write(tmp_path / "boxes.txt", line)
        with pytest.raises(DataError, match=f'{path}:1: expected x, y, width, height, or "-", got'):
            read_data_set("folder", tmp_path)

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        with pytest.raises(DataError, match=r"boxes.txt cannot be read"):
            read_data_set("folder", tmp_path)
        write(tmp_path / "boxes.txt", "1 2 3 4")
        with pytest.raises(DataError, match="images has no frames"):
            read_data_set("folder", tmp_path)


class TestRegistry:
    def test_each_file_with_a_reader_of_sequences_is_a_data_set(self) -> None:
        names = list(data_sets())
        assert names == sorted(names)
        expected = {"folder", "got10k", "lasot", "nfs", "otb", "trackingnet", "uav123", "vot"}
        assert expected <= set(names)
        assert "imagenet_det" not in names

    def test_names_and_options_are_corrected(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r'there is no data set "otbb". Did you mean "otb"\?'):
            read_data_set("otbb", tmp_path)
        with pytest.raises(DataError, match='there is no data set "zzz"; there are '):
            read_data_set("zzz", tmp_path)
        with pytest.raises(DataError, match=r'no option "versoin". Did you mean "version"\?'):
            read_data_set("otb", tmp_path, versoin="2013")
        with pytest.raises(DataError, match='the data set "folder" has no option "x"; it has none'):
            read_data_set("folder", tmp_path, x=1)

    def test_a_folder_must_be_there_and_not_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match='x is not a folder; the data set "otb" was expected'):
            read_data_set("otb", tmp_path / "x")
        with pytest.raises(DataError, match='has no sequence of the data set "otb"'):
            read_data_set("otb", tmp_path)

    def test_the_text_of_the_command_line(self, got10k: Path) -> None:
        assert len(read_named(f"got10k={got10k},subset=val")) == 1
        assert len(read_named(f"got10k={got10k}/val")) == 1
        with pytest.raises(DataError, match="takes NAME=FOLDER or NAME=FOLDER,option=value, got"):
            read_named("got10k")
        with pytest.raises(DataError, match='option "rate" takes a number, got "fast"'):
            read_named(f"nfs={got10k},rate=fast")
