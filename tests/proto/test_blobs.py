"""Shapes and values of blobs, legacy and new."""

import numpy as np
import pytest

from torchcaffe.errors import WeightsError
from torchcaffe.proto import (
    blob_array,
    blob_diff,
    blob_matches,
    blob_shape,
    format_text,
    is_legacy,
    legacy_matches,
    make_blob,
    parse_text,
)
from torchcaffe.proto.schema import BlobProto


def blob(text: str) -> BlobProto:
    return parse_text(text, BlobProto)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("", ()),
        ("shape { }", ()),
        ("shape { dim: 2 dim: 0 }", (2, 0)),
        ("num: 1 channels: 2 height: 3 width: 4", (1, 2, 3, 4)),
        ("width: 4", (0, 0, 0, 4)),
        ("num: 0 shape { dim: 7 }", (0, 0, 0, 0)),
    ],
)
def test_shape(text: str, shape: tuple[int, ...]) -> None:
    assert blob_shape(blob(text)) == shape
    assert is_legacy(blob(text)) == (len(shape) == 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shape { dim: -1 }", r"^w has the shape \(-1,\), with a negative dimension\.$"),
        ("height: -1", r"^w has the shape \(0, 0, -1, 0\), with a negative dimension\.$"),
        ("shape { dim: 65536 dim: 32768 }", r"that is 2147483648 elements; a blob can have 21474"),
        (f"shape {{ dim: [{', '.join('1' * 33)}] }}", r"^w has 33 axes; a blob can have 32\.$"),
    ],
)
def test_impossible_shapes(text: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        blob_shape(blob(text), "w")


class TestArray:
    def test_is_a_shaped_view(self) -> None:
        source = blob("shape { dim: 2 dim: 1 } data: 1 data: 2")
        array = blob_array(source)
        assert array.tolist() == [[1.0], [2.0]]
        assert np.shares_memory(array, source.data)

    def test_of_no_axes_has_one_element(self) -> None:
        assert blob_array(blob("data: 5")).shape == ()

    def test_doubles_come_first_and_are_rounded(self) -> None:
        array = blob_array(blob("shape { dim: 1 } data: 1 double_data: 0.1"))
        assert array.dtype == np.float32
        assert array[0] == np.float32(0.1)
        diff = blob_diff(blob("shape { dim: 1 } data: 1 diff: 2 double_diff: 1e300"))
        assert diff is not None and diff[0] == np.inf

    def test_diff_is_optional(self) -> None:
        assert blob_diff(blob("data: 1")) is None
        diff = blob_diff(blob("diff: 3"))
        assert diff is not None and diff == 3

    def test_counts_must_agree(self) -> None:
        words = r'^blob 0 of layer "ip" has the shape \(2, 3\), that is 6 elements, but 5 values\.$'
        with pytest.raises(WeightsError, match=words):
            blob_array(blob("shape { dim: [2, 3] } data: [1,2,3,4,5]"), 'blob 0 of layer "ip"')
        with pytest.raises(WeightsError, match=r"^the blob has the shape \(\), that is 1 elements"):
            blob_array(blob(""))


class TestMake:
    def test_float(self) -> None:
        made = make_blob(np.array([[1, 2]], np.float32), np.array([[3, 4]], np.float32))
        expected = blob("shape { dim: 1 dim: 2 } data: [1, 2] diff: [3, 4]")
        assert format_text(made) == format_text(expected)

    def test_double(self) -> None:
        made = make_blob(np.array([0.1]), np.array([0.2]))
        expected = blob("shape { dim: 1 } double_data: 0.1 double_diff: 0.2")
        assert format_text(made) == format_text(expected)

    def test_scalar_has_no_shape(self) -> None:
        assert format_text(make_blob(np.float32(2) * np.ones((), np.float32))) == "data: 2.0\n"

    def test_strided(self) -> None:
        made = make_blob(np.arange(6, dtype=np.float32).reshape(2, 3).T)
        assert made.data.tolist() == [0, 3, 1, 4, 2, 5]

    def test_refusals(self) -> None:
        with pytest.raises(TypeError, match="a blob holds floating point numbers, got int64"):
            make_blob(np.zeros(2, np.int64))
        with pytest.raises(WeightsError, match=r"diff has the shape \(3,\), and the blob \(2,\)\."):
            make_blob(np.zeros(2, np.float32), np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("dims", "target", "fits"),
    [
        ((1, 1, 1, 5), (5,), True),
        ((1, 1, 4, 5), (4, 5), True),
        ((2, 3, 4, 5), (2, 3, 4, 5), True),
        ((1, 3, 4, 5), (3, 4, 5), True),
        ((1, 1, 1, 1), (), True),
        ((5, 1, 1, 1), (5,), False),
        ((1, 1, 4, 5), (5, 4), False),
        ((1, 1, 1, 5), (1, 1, 1, 1, 5), False),
    ],
)
def test_legacy_matches(dims: tuple[int, ...], target: tuple[int, ...], fits: bool) -> None:
    names = ("num", "channels", "height", "width")
    legacy = BlobProto(**dict(zip(names, dims, strict=True)))
    assert legacy_matches(legacy, target) == fits
    assert blob_matches(legacy, target) == fits


def test_new_shapes_must_be_equal() -> None:
    assert blob_matches(blob("shape { dim: 4 dim: 5 }"), (4, 5))
    assert not blob_matches(blob("shape { dim: 1 dim: 4 dim: 5 }"), (4, 5))
