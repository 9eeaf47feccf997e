import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


class TestScale(LayerContract):
    caffe_type = "Scale"
    cases = {
        "channels": Case(),
        "bias": Case("scale_param { bias_term: true }"),
        "one-axis": Case("scale_param { axis: 0 bias_term: true }", bottoms=[(5,)]),
        "two-axes-in": Case(bottoms=[(3, 4)]),
        "five-axes": Case("scale_param { axis: -2 }", bottoms=[(2, 1, 3, 2, 3)]),
        "one-image": Case(bottoms=[(1, 3, 2, 2)]),
        "two-axes": Case("scale_param { axis: 0 num_axes: 2 }"),
        "to-the-end": Case("scale_param { axis: 2 num_axes: -1 bias_term: true }"),
        "everything": Case("scale_param { axis: 0 num_axes: -1 bias_term: true }"),
        "one-value": Case("scale_param { num_axes: 0 bias_term: true }"),
        "same-size-on-every-axis": Case("scale_param { bias_term: true }", bottoms=[(3, 3, 3)]),
        "bottom": Case(bottoms=[(2, 3, 4, 5), (3,)]),
        "bottom-and-bias": Case("scale_param { bias_term: true }", bottoms=[(2, 3, 4), (3, 4)]),
        "bottom-gate": Case("scale_param { axis: 0 }", bottoms=[(2, 3, 4, 5), (2, 3)]),
        "bottom-of-one-value": Case("scale_param { axis: 7 }", bottoms=[(2, 3), np.array(1.5)]),
        "bottom-of-one-value-and-bias": Case(
            "scale_param { bias_term: true }", bottoms=[(2, 3), np.array(-1.5)]
        ),
        "bottom-of-one-shape": Case("scale_param { axis: 0 }", bottoms=[(2, 3), (2, 3)]),
        "in-place": Case("scale_param { bias_term: true }", in_place=True),
        "not-finite": Case(bottoms=[np.array([[np.nan, np.inf, -np.inf]])], gradcheck=False),
    }
    refusals = {
        "axis": (Case("scale_param { axis: 4 }"), "axis 4 is out of range"),
        "one-axis-bottom": (
            Case(bottoms=[(5,)]),
            "axis 1 is out of range for a bottom with 1 axes",
        ),
        "num-axes": (
            Case("scale_param { num_axes: -2 }"),
            "num_axes must be -1 (to the end) or more, got -2",
        ),
        "too-many-axes": (
            Case("scale_param { axis: 2 num_axes: 3 }"),
            "axis 2 and num_axes 3 reach beyond the 4 axes of its bottom 2x3x4x5",
        ),
        "bottom-shape": (
            Case(bottoms=[(2, 3, 4, 5), (4,)]),
            "bottom 1 must have the shape of bottom 0 from axis 1 on; it is 4",
        ),
        "axis-of-bias": (
            Case("scale_param { axis: 7 bias_term: true }", bottoms=[(2, 3), np.array(1.5)]),
            "axis 7 is out of range",
        ),
        "three-bottoms": (Case(bottoms=[(2,), (2,), (2,)]), "takes 1 to 2 bottoms, got 3"),
        "params": (Case("param {} param {}"), "has 2 param entries for 1 parameter blobs"),
        "in-place-of-the-factor": (
            Case('top: "b1"', tops=0, bottoms=[(2, 3), (3,)]),
            'top "b1" is made by an earlier layer already',
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, x, rest = param.scale_param, bottoms[0], [*bottoms[1:], *blobs]
        scale = rest[0]
        start = 0 if scale.ndim == 0 else p.axis % x.ndim
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            place = index[start : start + scale.ndim]
            y[index] = x[index] * scale[place]
            if p.bias_term:
                y[index] = y[index] + rest[1][place]
        return [y]


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("", [1]),
        ("scale_param { bias_term: true }", [1, 0]),
        ("scale_param { filler { value: 3 } bias_term: true bias_filler { value: 2 } }", [3, 2]),
        ("scale_param { filler { } }", [0]),
    ],
)
def test_fillers(body: str, values: list[float]) -> None:
    net = CaffeNet(Case(body).net("Scale"))
    assert [blob.tolist() for blob in net.params["layer"]] == [[value] * 3 for value in values]


def test_is_aligned_at_its_axis_not_at_the_last() -> None:
    net = TestScale().build(Case(bottoms=[(1, 2, 2)]))
    with torch.no_grad():
        net.params["layer"][0].copy_(torch.tensor([1.0, 2.0]))
    assert net(torch.ones(1, 2, 2))["t0"].tolist() == [[[1, 1], [2, 2]]]
