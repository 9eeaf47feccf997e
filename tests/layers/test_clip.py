import numpy as np
import torch

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestClip(LayerContract):
    caffe_type = "Clip"
    cases = {
        "both": Case("clip_param { min: -0.5 max: 0.7 }"),
        "edges": Case("clip_param { min: -1 max: 2 }", bottoms=[np.arange(-3.0, 4.0)]),
        "one-value": Case("clip_param { min: 0.5 max: 0.5 }", bottoms=[np.array([0, 0.5, 1])]),
        "inverted": Case("clip_param { min: 1 max: -1 }"),
        "not-finite": Case(
            "clip_param { min: -1 max: 2 }", bottoms=[np.array([np.nan, np.inf, -np.inf])]
        ),
        "endless": Case("clip_param { min: -inf max: 0 }", bottoms=[np.array([-np.inf, -1, 1])]),
        "not-given": Case(),
        "in-place": Case("clip_param { min: -0.5 max: 0.7 }", in_place=True),
        "in-place-inverted": Case("clip_param { min: 1 max: -1 }", in_place=True),
    }
    refusals = {
        "two-bottoms": (
            Case("clip_param { min: 0 max: 1 }", bottoms=[(2,), (2,)]),
            "takes 1 bottom, got 2",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        low, high = np.float32(param.clip_param.min), np.float32(param.clip_param.max)
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            least = high if high < x[index] else x[index]
            y[index] = least if low < least else low
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        low, high = np.float32(param.clip_param.min), np.float32(param.clip_param.max)
        (x,), (dy,) = bottoms, top_diffs
        if param.bottom[0] == param.top[0]:
            (x,) = TestClip.reference(param, bottoms, blobs, phase)
        dx = np.empty_like(x)
        for index in np.ndindex(x.shape):
            dx[index] = dy[index] * np.float32(low <= x[index] <= high)
        return [dx], []


def test_plain_gives_the_same_bits() -> None:
    case = Case("clip_param { min: -0.5 max: 0.7 }", bottoms=[(1000,)])
    net = TestClip().build(case)
    x = torch.from_numpy(case.arrays()["b0"])
    assert torch.equal(net.steps[-1].plan.plain.build([x]), net(x)["t0"])


def test_inverted_range_has_no_plain_operator() -> None:
    assert TestClip().build(TestClip.cases["inverted"]).steps[-1].plan.plain is None
