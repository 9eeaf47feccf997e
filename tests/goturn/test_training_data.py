"""ALOV and ImageNet DET: what is read, what is left out, what is refused."""

from collections import Counter
from pathlib import Path

import cv2
import pytest
from narrow import alov_line, det_xml, picture, write_alov, write_imagenet, write_lines

from goturn import Box
from goturn.data import alov, imagenet_det
from goturn.errors import DataError


class TestAlov:
    def test_boxes_count_from_0_and_frames_without_one_have_none(self, tmp_path: Path) -> None:
        write_alov(tmp_path, videos=1)
        (video,) = alov.read(tmp_path / "images", tmp_path / "gt")
        assert video.name == "01-Light_video00001" and len(video) == 6
        assert video.boxes[:3] == [Box(10, 19, 40, 44), None, Box(12, 19, 42, 44)]
        assert video.frames[2].name == "00000003.jpg"

    def test_the_box_is_the_smallest_around_the_corners(self, tmp_path: Path) -> None:
        write_alov(tmp_path, videos=1)
        path = tmp_path / "gt" / "01-Light" / "01-Light_video00001.ann"
        write_lines(path, ["2 10 5.5 20 9 14 30 3 12"])
        (video,) = alov.read(tmp_path / "images", tmp_path / "gt")
        assert video.boxes[1] == Box(2, 4.5, 19, 29)

    def test_the_last_fifth_of_each_category_is_for_validation(self, tmp_path: Path) -> None:
        write_alov(tmp_path, videos=11, frames=1)
        write_alov(tmp_path, videos=4, frames=1, first="02-Cover")

        def numbers(**options: object) -> list[str]:
            videos = alov.read(tmp_path / "images", tmp_path / "gt", **options)
            return [video.name[:2] + video.name[-3:] for video in videos]

        assert numbers(part="validation") == ["01010", "01011"]
        assert len(numbers()) == 13 and "01009" in numbers() and "02004" in numbers()
        assert len(numbers(part="all")) == len(numbers(validation=0)) == 15
        without = numbers(part="all", without=["01-Light_video00002"])
        assert len(without) == 14 and "01002" not in without

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            (["1 2 3"], r'00001\.ann:1: expected a frame\'s number and .* corners, got "1 2 3"'),
            ([alov_line(1, 1, 1, 5, 5), "3 a b c d e f g h"], r"00001\.ann:2: expected"),
            (["1 nan 1 1 1 1 1 1 1"], ":1: expected"),
            (["0 1 1 1 1 1 1 1 1"], ":1: expected"),
            ([alov_line(7, 1, 1, 5, 5)], r":1: frame 7 of 6 images in"),
            ([alov_line(3, 1, 1, 5, 5)] * 2, ":2: frame 3 comes after frame 3"),
        ],
    )
    def test_malformed_lines(self, tmp_path: Path, lines: list[str], words: str) -> None:
        write_alov(tmp_path, videos=1)
        write_lines(tmp_path / "gt" / "01-Light" / "01-Light_video00001.ann", lines)
        with pytest.raises(DataError, match=words):
            alov.read(tmp_path / "images", tmp_path / "gt")

    def test_folders_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"gt is not a folder that can be read \(no such"):
            alov.read(tmp_path / "images", tmp_path / "gt")
        write_lines(tmp_path / "gt" / "01" / "v.ann", [alov_line(1, 1, 1, 5, 5)])
        with pytest.raises(DataError, match=r"images/01/v is not a folder"):
            alov.read(tmp_path / "images", tmp_path / "gt")

    def test_another_part_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match='part takes "train", "validation" or "all", got "val"'):
            alov.read(tmp_path, tmp_path, part="val")

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        write_alov(tmp_path, videos=1)
        path = tmp_path / "gt" / "01-Light" / "01-Light_video00001.ann"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match="cannot be read as text"):
            alov.read(tmp_path / "images", tmp_path / "gt")


class TestImageNet:
    def test_stills_with_their_boxes(self, tmp_path: Path) -> None:
        write_imagenet(tmp_path)
        stills = imagenet_det.read(tmp_path / "images", tmp_path / "gt")
        assert len(stills) == 4
        assert stills[1].boxes == [Box(11, 15, 50, 45)]
        assert stills[1].box(0, stills[1].image()) == Box(11, 15, 50, 45)

    @pytest.mark.parametrize(
        ("box", "used"),
        [
            ((0, 0, 59, 46), True),
            ((0, 0, 60, 46), False),
            ((0, 0, 59, 47), False),
            ((-1, 0, 20, 20), False),
            ((5, 5, 5, 20), False),
            ((5, 9, 20, 9), False),
        ],
    )
    def test_boxes_that_are_left_out(
        self, tmp_path: Path, box: tuple[int, int, int, int], used: bool
    ) -> None:
        write_imagenet(tmp_path, stills=1)
        write_lines(tmp_path / "gt" / "n01" / "n01_0.xml", [det_xml("n01_0", [box])])
        stills = imagenet_det.read(tmp_path / "images", tmp_path / "gt")
        assert len(stills) == used

    def test_boxes_grow_with_the_image_s_height(self, tmp_path: Path) -> None:
        write_imagenet(tmp_path, stills=1)
        cv2.imwrite(str(tmp_path / "images" / "n01" / "n01_0.JPEG"), picture(270, 140))
        (still,) = imagenet_det.read(tmp_path / "images", tmp_path / "gt")
        assert still.box(0, still.image()) == Box(20, 30, 100, 90)

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("<xmin>10</xmin>", "<xmin>ten</xmin>", "<bndbox><xmin> is not a whole number: ten"),
            ("<xmin>10</xmin>", "", "<object> has no <bndbox><xmin>"),
            ("<size>", "<sizes>", r"n01_0\.xml:1: not well-formed XML"),
            ("<filename>n01_0</filename>", "", "<annotation> has no <filename>"),
            ("<width>90", "<width>0", "the image's size is 0 x 70"),
        ],
    )
    def test_malformed_annotations(self, tmp_path: Path, old: str, new: str, words: str) -> None:
        write_imagenet(tmp_path, stills=1)
        path = tmp_path / "gt" / "n01" / "n01_0.xml"
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(DataError, match=words):
            imagenet_det.read(tmp_path / "images", tmp_path / "gt")

    def test_what_is_bad_may_be_passed_over(self, tmp_path: Path) -> None:
        write_imagenet(tmp_path, stills=2)
        (tmp_path / "gt" / "n01" / "n01_0.xml").write_text("<annotation>")
        bad: Counter[str] = Counter()
        (still,) = imagenet_det.read(tmp_path / "images", tmp_path / "gt", bad=bad)
        assert still.frame.name == "n01_1.JPEG"
        assert len(bad) == 1 and "not well-formed XML" in next(iter(bad))

    def test_a_missing_image_is_named(self, tmp_path: Path) -> None:
        write_imagenet(tmp_path, stills=1)
        (tmp_path / "images" / "n01" / "n01_0.JPEG").unlink()
        (still,) = imagenet_det.read(tmp_path / "images", tmp_path / "gt")
        with pytest.raises(DataError, match=r"n01_0\.JPEG does not exist"):
            still.image()
