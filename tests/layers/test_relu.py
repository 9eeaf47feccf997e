import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestReLU(LayerContract):
    caffe_type = "ReLU"
    cases = {
        "plain": Case(),
        "leaky": Case("relu_param { negative_slope: 0.1 }"),
        "steep": Case("relu_param { negative_slope: 2 }"),
        "negative-slope": Case("relu_param { negative_slope: -0.5 }"),
        "one-axis": Case(bottoms=[(7,)]),
        "five-axes": Case(bottoms=[(2, 1, 2, 3, 2)]),
        "zeros": Case("relu_param { negative_slope: 0.1 }", bottoms=[np.array([0.0, -0.0])]),
        "infinite": Case(bottoms=[np.array([-np.inf, np.inf, np.nan, -1.0, 0.0, 2.0])]),
        "in-place": Case(in_place=True),
        "in-place-leaky": Case("relu_param { negative_slope: 0.1 }", in_place=True),
        "in-place-negative-slope": Case("relu_param { negative_slope: -0.5 }", in_place=True),
    }
    refusals = {
        "cudnn": (Case("relu_param { engine: CUDNN }"), "engine: CUDNN is not in a Caffe built"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        slope = np.float32(param.relu_param.negative_slope)
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            value = x[index]
            if np.isnan(value):
                y[index] = value
            else:
                y[index] = max(value, np.float32(0)) + slope * min(value, np.float32(0))
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        slope = np.float32(param.relu_param.negative_slope)
        (x,), (dy,) = bottoms, top_diffs
        if param.bottom[0] == param.top[0]:
            (x,) = TestReLU.reference(param, bottoms, blobs, phase)
        dx = np.empty_like(x)
        for index in np.ndindex(x.shape):
            above, below = np.float32(x[index] > 0), np.float32(x[index] <= 0)
            dx[index] = dy[index] * (above + slope * below)
        return [dx], []


@pytest.mark.parametrize("name", ["plain", "leaky", "in-place-negative-slope"])
def test_plain_gives_the_same_bits(name: str) -> None:
    case = TestReLU.cases[name]
    net = TestReLU().build(case)
    x = torch.from_numpy(case.arrays()["b0"])
    (y,) = net(x.clone()).values()
    assert torch.equal(net.steps[-1].plan.plain.build()(x), y)
