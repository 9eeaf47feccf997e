"""Fillers: values, draws and refusals. What Caffe answered is in golden/test_fillers.py."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchcaffe import proto
from torchcaffe.errors import LayerError
from torchcaffe.fillers import FILLERS, fan, fill
from torchcaffe.proto.schema import FillerParameter, NetParameter
from torchcaffe.random import Mersenne, bernoulli, gaussian, uniform

F = np.float32


def filled(shape: tuple[int, ...], *, seed: int = 1, **fields: Any) -> np.ndarray:
    return fill(FillerParameter(**fields), shape, Mersenne(seed))


def draws(shape: tuple[int, ...], **fields: Any) -> int:
    """How many words a fill takes from the stream."""
    stream = Mersenne(1)
    fill(FillerParameter(**fields), shape, stream)
    following = stream.word()
    return Mersenne(1).raw(5000).tolist().index(following)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "constant"}, 0),
        ({"type": "bilinear"}, 0),
        ({"type": "uniform"}, 54),
        ({"type": "xavier"}, 54),
        ({"type": "positive_unitball"}, 54),
        ({"type": "gaussian", "sparse": 0}, 60),
        ({"type": "gaussian"}, 60),
        ({"type": "gaussian", "sparse": 2}, 60 + 54),
        ({"type": "msra"}, 60),
    ],
    ids=str,
)
def test_draws(fields: dict[str, Any], words: int) -> None:
    assert draws((2, 3, 3, 3), **fields) == words


@pytest.mark.parametrize("type_name", FILLERS)
def test_shape_and_type(type_name: str) -> None:
    values = filled((3, 2, 4, 4), type=type_name)
    assert values.shape == (3, 2, 4, 4)
    assert values.dtype == F
    assert values.flags.c_contiguous
    assert values.flags.writeable


def test_constant_is_the_default_and_fills_a_blob_without_axes() -> None:
    assert filled((2, 2)).tolist() == [[0, 0], [0, 0]]
    assert filled((), value=0.1) == F(0.1)


def test_uniform() -> None:
    expected = uniform(Mersenne(1), -0.1, 0.1, 6).reshape(2, 3)
    np.testing.assert_array_equal(filled((2, 3), type="uniform", min=-0.1, max=0.1), expected)
    assert filled((), type="uniform").shape == ()


def test_gaussian() -> None:
    expected = gaussian(Mersenne(1), 0.5, 0.1, 6).reshape(2, 3)
    np.testing.assert_array_equal(filled((2, 3), type="gaussian", mean=0.5, std=0.1), expected)
    assert filled((), type="gaussian").shape == ()


@pytest.mark.parametrize("boost", ["1.56-1.63", "<1.56"])
@pytest.mark.parametrize("type_name", ["gaussian", "msra"])
def test_the_boost_is_passed_on(type_name: str, boost: Any) -> None:
    values = fill(FillerParameter(type=type_name), (2, 1), Mersenne(1), boost)
    std = 1 if type_name == "gaussian" else np.sqrt(F(2))
    np.testing.assert_array_equal(values[:, 0], gaussian(Mersenne(1), 0, std, 2, boost))


@pytest.mark.parametrize("sparse", [0, 3, 10])
def test_sparse_thins_after_all_values_are_drawn(sparse: int) -> None:
    stream = Mersenne(1)
    dense = gaussian(stream, 0, 1, 200)
    kept = bernoulli(stream, float(F(sparse) / F(10)), 200, F)
    values = filled((10, 20), type="gaussian", sparse=sparse).reshape(-1)
    np.testing.assert_array_equal(values, dense * kept)
    assert np.signbit(values[~kept]).tolist() == np.signbit(dense[~kept]).tolist()


def test_sparse_compares_in_float() -> None:
    class Scripted(Mersenne):
        def raw(self, n: int) -> np.ndarray:
            words, self.script = self.script[:n], self.script[n:]
            return np.array(words, np.uint32)

    # Ten values from one word each, then ten words that are above 0.3 as doubles only.
    stream = Scripted(1)
    stream.script = [0x40000043] * 10 + [int(F(0.3) * (2**32 - 1)) + 20] * 10
    values = fill(FillerParameter(type="gaussian", sparse=3), (10,), stream)
    assert stream.script == []
    assert values.all()


def test_positive_unitball_divides_by_a_sum_in_order() -> None:
    plain = uniform(Mersenne(1), 0, 1, 3000).reshape(3, 1000)
    sums = [F(0), F(0), F(0)]
    for row in range(3):
        for value in plain[row]:
            sums[row] = sums[row] + value
    expected = plain / np.array(sums)[:, None]
    np.testing.assert_array_equal(
        filled((3, 10, 100), type="positive_unitball"), expected.reshape(3, 10, 100)
    )


def test_positive_unitball_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = filled((7, 11), type="positive_unitball")
    monkeypatch.setattr("torchcaffe.fillers.BLOCK", 22)
    np.testing.assert_array_equal(filled((7, 11), type="positive_unitball"), expected)


def test_positive_unitball_of_nothing_but_zeros_is_nan() -> None:
    class Zeros(Mersenne):
        def raw(self, n: int) -> np.ndarray:
            return np.zeros(n, np.uint32)

    assert np.isnan(fill(FillerParameter(type="positive_unitball"), (2, 2), Zeros(1))).all()


@pytest.mark.parametrize(
    ("shape", "fan_in", "fan_out"),
    [
        ((8, 3, 5, 7), 105, 280),
        ((2, 8, 3, 3), 72, 18),
        ((20, 150), 150, 20),
        ((6,), 1, 6),
        ((2, 3, 4, 5, 6), 360, 240),
    ],
)
def test_fan(shape: tuple[int, ...], fan_in: int, fan_out: int) -> None:
    assert fan(shape) == fan(shape, "FAN_IN") == fan_in
    assert fan(shape, "FAN_OUT") == fan_out
    assert fan(shape, "AVERAGE") == (fan_in + fan_out) / 2
    assert fan(shape, "AVERAGE").dtype == F


@pytest.mark.parametrize("norm", ["FAN_IN", "FAN_OUT", "AVERAGE"])
def test_xavier_and_msra_scale_with_the_fan(norm: str) -> None:
    shape = (2, 8, 3, 3)
    bound, std = np.sqrt(F(3) / fan(shape, norm)), np.sqrt(F(2) / fan(shape, norm))
    np.testing.assert_array_equal(
        filled(shape, type="xavier", variance_norm=norm).reshape(-1),
        uniform(Mersenne(1), -bound, bound, 144),
    )
    np.testing.assert_array_equal(
        filled(shape, type="msra", variance_norm=norm).reshape(-1),
        gaussian(Mersenne(1), 0, std, 144),
    )


def test_the_bound_of_a_deconvolution() -> None:
    # C 2, O 8, kernel 3: fan_in is 8 * 9, so sqrt(3 / 72).
    values = filled((2, 8, 3, 3), type="xavier")
    assert 0.19 < np.abs(values).max() <= 0.20412415


@pytest.mark.parametrize(
    ("width", "profile"),
    [
        (1, [1]),
        (3, [0.5, 1, 0.5]),
        (4, [0.25, 0.75, 0.75, 0.25]),
        (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
    ],
)
def test_bilinear_profiles(width: int, profile: list[float]) -> None:
    kernel = filled((2, 3, width, width), type="bilinear")
    np.testing.assert_allclose(kernel[1, 2], np.outer(profile, profile), rtol=1e-6)
    assert (kernel == kernel[0, 0]).all()


@given(width=st.integers(1, 31))
def test_bilinear_is_computed_in_float(width: int) -> None:
    factor = -(-width // 2)
    centre = F((width - 1) / (2.0 * factor))
    kernel = filled((1, 1, width, width), type="bilinear")[0, 0]
    for y in range(width):
        for x in range(width):
            across = F(1) - abs(F(x) / F(factor) - centre)
            down = F(1) - abs(F(y) / F(factor) - centre)
            assert kernel[y, x] == across * down


def test_layers_in_a_row_share_one_stream() -> None:
    stream = Mersenne(1701)
    first = fill(FillerParameter(type="xavier"), (5, 4), stream)
    fill(FillerParameter(type="constant"), (5,), stream)
    second = fill(FillerParameter(type="uniform"), (3,), stream)
    alone = uniform(Mersenne(1701), 0, 1, 23)
    np.testing.assert_array_equal(second, alone[20:])
    assert not np.array_equal(first.reshape(-1)[:3], second)


REFUSALS = {
    "unknown type": ({"type": "gausian"}, (2,), r'no filler "gausian"\. Did you mean "gaussian"\?'),
    "foreign type": (
        {"type": "orthogonal"},
        (2,),
        r'no filler "orthogonal"\. Caffe has constant, uniform, gaussian, positive_unitball, '
        r"xavier, msra, bilinear\.",
    ),
    "empty blob": ({"type": "xavier"}, (0, 2), r"no elements: its shape is \(0, 2\)"),
    "empty constant": ({}, (2, 0), r"no elements: its shape is \(2, 0\)"),
    "sparse xavier": ({"type": "xavier", "sparse": 2}, (2,), "only a gaussian .* sparse; set to 2"),
    "sparse constant": ({"sparse": 0}, (2,), "only a gaussian filler can be sparse; set to 0"),
    "sparse below -1": ({"type": "gaussian", "sparse": -2}, (3, 4), r"from 0 to 3 \(or -1.*got -2"),
    "sparse above the outputs": ({"type": "gaussian", "sparse": 4}, (3, 4), "of the 3 .* got 4"),
    "sparse scalar": (
        {"type": "gaussian", "sparse": 1},
        (),
        "at least one axis, the blob has none",
    ),
    "std 0": ({"type": "gaussian", "std": 0}, (2,), 'type "gaussian": .* needs std above 0, got 0'),
    "std negative": ({"type": "gaussian", "std": -0.5}, (2,), "needs std above 0, got -0.5"),
    "std nan": ({"type": "gaussian", "std": float("nan")}, (2,), "needs std above 0, got nan"),
    "min above max": (
        {"type": "uniform", "min": 2, "max": 1},
        (2,),
        "needs min <= max, both finite, got min 2 and max 1",
    ),
    "default max": ({"type": "uniform", "min": 2}, (2,), "got min 2 and max 1"),
    "no float between": (
        {"type": "uniform", "min": 3.4028234663852886e38, "max": 3.4028234663852886e38},
        (2,),
        "needs min <= max, both finite",
    ),
    "infinite max": ({"type": "uniform", "max": float("inf")}, (2,), "got min 0 and max inf"),
    "xavier scalar": (
        {"type": "xavier"},
        (),
        "a xavier filler needs a blob with at least one axis",
    ),
    "msra scalar": (
        {"type": "msra"},
        (),
        "a msra filler needs .* takes constant, uniform or gauss",
    ),
    "unitball scalar": (
        {"type": "positive_unitball"},
        (),
        "a positive_unitball filler needs a blob",
    ),
    "bilinear axes": ({"type": "bilinear"}, (3, 3), r"4 axes with a square kernel, got \(3, 3\)"),
    "bilinear oblong": ({"type": "bilinear"}, (1, 1, 3, 4), r"square kernel, got \(1, 1, 3, 4\)"),
}


@pytest.mark.parametrize(("fields", "shape", "words"), REFUSALS.values(), ids=list(REFUSALS))
def test_refusals(fields: dict[str, Any], shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(LayerError, match=words):
        filled(shape, **fields)


def test_a_refusal_names_the_line() -> None:
    text = 'layer {\n  inner_product_param {\n    weight_filler {\n      type: "xaver" } } }'
    net = proto.parse_text(text, NetParameter)
    filler = net.layer[0].inner_product_param.weight_filler
    with pytest.raises(LayerError, match=r'^filler on line 4: there is no filler "xaver"'):
        fill(filler, (2, 2), Mersenne(1))
