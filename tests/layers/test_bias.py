import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


def part_of(
    shape: tuple[int, ...], axis: int, index: tuple[int, ...], axes: int
) -> tuple[int, ...]:
    """Which element of a blob over ``axes`` axes from ``axis`` on belongs to an element of x."""
    start = 0 if axes == 0 else axis % len(shape)
    return index[start : start + axes]


class TestBias(LayerContract):
    caffe_type = "Bias"
    cases = {
        "channels": Case(),
        "one-axis": Case("bias_param { axis: 0 }", bottoms=[(5,)]),
        "five-axes": Case("bias_param { axis: -2 }", bottoms=[(2, 1, 3, 2, 3)]),
        "two-axes": Case("bias_param { axis: 0 num_axes: 2 }"),
        "to-the-end": Case("bias_param { axis: 2 num_axes: -1 }"),
        "everything": Case("bias_param { axis: 0 num_axes: -1 }"),
        "one-value": Case("bias_param { num_axes: 0 }"),
        "same-size-on-every-axis": Case(bottoms=[(3, 3, 3)]),
        "bottom": Case(bottoms=[(2, 3, 4, 5), (3,)]),
        "bottom-of-two-axes": Case(bottoms=[(2, 3, 4, 5), (3, 4)]),
        "bottom-at-axis-0": Case("bias_param { axis: 0 }", bottoms=[(3, 3, 2), (3, 3)]),
        "bottom-of-one-value": Case("bias_param { axis: 7 }", bottoms=[(2, 3), np.array(1.5)]),
        "bottom-of-one-shape": Case("bias_param { axis: 0 }", bottoms=[(2, 3), (2, 3)]),
        "in-place": Case(in_place=True),
        "not-finite": Case(bottoms=[np.array([[np.nan, np.inf, -np.inf]])], gradcheck=False),
    }
    refusals = {
        "axis": (Case("bias_param { axis: 4 }"), "axis 4 is out of range"),
        "axis-negative": (Case("bias_param { axis: -5 }"), "axis -5 is out of range"),
        "axis-of-one-value": (
            Case("bias_param { num_axes: 0 }", bottoms=[(3,)]),
            "axis 1 is out of range for a bottom with 1 axes",
        ),
        "num-axes": (
            Case("bias_param { num_axes: -2 }"),
            "num_axes must be -1 (to the end) or more, got -2",
        ),
        "too-many-axes": (
            Case("bias_param { axis: 2 num_axes: 3 }"),
            "axis 2 and num_axes 3 reach beyond the 4 axes of its bottom 2x3x4x5",
        ),
        "bottom-shape": (
            Case(bottoms=[(2, 3, 4, 5), (3, 5)]),
            "bottom 1 must have the shape of bottom 0 from axis 1 on; it is 3x5",
        ),
        "bottom-of-size-1": (
            Case(bottoms=[(2, 3), (1,)]),
            "bottom 1 must have the shape of bottom 0 from axis 1 on; it is 1",
        ),
        "bottom-with-more-axes": (
            Case(bottoms=[(2, 3), (3, 1)]),
            "it is 3x1, and bottom 0 is 2x3",
        ),
        "three-bottoms": (Case(bottoms=[(2,), (2,), (2,)]), "takes 1 to 2 bottoms, got 3"),
        "two-params": (Case("param {} param {}"), "has 2 param entries for 1 parameter blobs"),
        "param-beside-bottom": (
            Case("param {}", bottoms=[(2, 3), (3,)]),
            "has 1 param entries for 0 parameter blobs",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        x = bottoms[0]
        bias = bottoms[1] if len(bottoms) == 2 else blobs[0]
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = x[index] + bias[part_of(x.shape, param.bias_param.axis, index, bias.ndim)]
        return [y]


def test_is_aligned_at_its_axis_not_at_the_last() -> None:
    net = TestBias().build(Case(bottoms=[(1, 2, 2)]))
    with torch.no_grad():
        net.params["layer"][0].copy_(torch.tensor([1.0, 2.0]))
    assert net(torch.zeros(1, 2, 2))["t0"].tolist() == [[[1, 1], [2, 2]]]


@pytest.mark.parametrize(("body", "value"), [("", 0), ("bias_param { filler { value: 2 } }", 2)])
def test_filler_is_0_unless_given(body: str, value: float) -> None:
    net = CaffeNet(Case(body).net("Bias"))
    assert net.params["layer"][0].tolist() == [value] * 3
