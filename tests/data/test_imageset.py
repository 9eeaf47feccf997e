import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_sources import datum, pixels, png, write_all, write_database
from torchcaffe.data import (
    channel_means,
    compute_image_mean,
    convert_imageset,
    read_lmdb,
    write_lmdb,
)
from torchcaffe.errors import CaffeError, NetWarning
from torchcaffe.proto import encode, parse_wire, read_wire
from torchcaffe.proto.schema import BlobProto, Datum
from torchcaffe.random import Mersenne, shuffle


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_all()


def records(path: str = "new") -> dict[str, Datum]:
    return {key.decode(): parse_wire(value, Datum) for key, value in read_lmdb(path)}


def test_raw_images() -> None:
    assert convert_imageset("./", "list.txt", "new") == 5
    found = records()
    assert list(found) == [f"{place:08d}_image {place}.png" for place in range(5)]
    record = found["00000003_image 3.png"]
    assert (record.channels, record.height, record.width, record.label) == (3, 6, 8, 3)
    assert record.data == pixels(3).tobytes() and not record.encoded


def test_grey_and_resized() -> None:
    convert_imageset("", "list.txt", "new", gray=True, resize=(3, 4))
    grey = cv2.resize(cv2.imread("image 0.png", cv2.IMREAD_GRAYSCALE), (4, 3))
    assert records()["00000000_image 0.png"].data == grey.tobytes()


def test_files_are_kept_as_they_are_where_they_can_be() -> None:
    convert_imageset("", "list.txt", "new", encoded=True)
    record = records()["00000001_image 1.png"]
    assert record.encoded and record.data == Path("image 1.png").read_bytes()
    assert not record.has("channels")


@pytest.mark.parametrize("options", [{"encode_type": "bmp"}, {"encoded": True, "resize": (3, 4)}])
def test_other_files_are_encoded_again(options: dict[str, object]) -> None:
    convert_imageset("", "list.txt", "new", **options)  # type: ignore[arg-type]
    record = records()["00000001_image 1.png"]
    image = cv2.imdecode(np.frombuffer(record.data, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = cv2.imread("image 1.png")
    assert record.data != Path("image 1.png").read_bytes()
    assert np.array_equal(image, cv2.resize(expected, image.shape[1::-1]))


def test_shuffled_by_a_seed() -> None:
    convert_imageset("", "list.txt", "new", shuffled=True, seed=1)
    order = list(range(5))
    shuffle(Mersenne(1), order)
    assert [record.label for record in records().values()] == order


def test_an_unreadable_image_stops_it_and_nothing_is_left() -> None:
    Path("image 2.png").write_bytes(b"x")
    with pytest.raises(CaffeError, match=r"list.txt: image 2.png does not decode as an image"):
        convert_imageset("", "list.txt", "new")
    assert not list(Path().glob("*new*")) and not list(Path().glob(".new*"))


def test_unreadable_images_are_left_out_if_so_wished() -> None:
    Path("image 2.png").unlink()
    with pytest.warns(NetWarning, match=r"left out: image 2.png does not exist"):
        assert convert_imageset("", "list.txt", "new", skip_unreadable=True) == 4
    assert [key[:8] for key in records()] == ["00000000", "00000001", "00000003", "00000004"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"check_size": True, "encoded": True}, "it cannot be used for encoded images"),
        ({"check_size": True}, "image 1.png has 12 numbers, and the first image 144"),
        ({"encode_type": "foo"}, 'OpenCV cannot write images of type "foo"; give encode_type'),
    ],
)
def test_what_cannot_be(options: dict[str, object], words: str) -> None:
    Path("image 1.png").write_bytes(png(pixels(1, 2, 2)))
    with pytest.raises(CaffeError) as caught:
        convert_imageset("", "list.txt", "new", **options)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_mean() -> None:
    total = np.zeros((3, 6, 8), np.float32)
    for place in range(7):
        image = pixels(place) / np.float32(7) if place % 3 == 2 else pixels(place)
        total += image.astype(np.float32)
    mean = compute_image_mean("lmdb", "out.binaryproto")
    assert np.array_equal(mean, total / np.float32(7))
    blob = read_wire("out.binaryproto", BlobProto)
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 6, 8)
    assert np.array_equal(np.asarray(blob.data).reshape(mean.shape), mean)
    np.testing.assert_allclose(channel_means(mean), mean.mean((1, 2)), rtol=1e-5)


def test_mean_of_several_sizes() -> None:
    small = Datum(channels=3, height=2, width=2, data=bytes(12))
    write_lmdb("mixed", [(b"a", encode(datum(0))), (b"b", encode(small))])
    with pytest.raises(CaffeError, match=r'mixed: record "b" is \(3, 2, 2\), and the first one'):
        compute_image_mean("mixed")


def test_mean_of_nothing() -> None:
    write_database("none", 0)
    with pytest.raises(CaffeError, match="none holds no records"):
        compute_image_mean("none")


def test_writes_nothing_in_the_way() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_imageset("", "list.txt", "new")
    with pytest.raises(CaffeError, match="new exists already"):
        convert_imageset("", "list.txt", "new")
