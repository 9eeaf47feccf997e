import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestELU(LayerContract):
    caffe_type = "ELU"
    cases = {
        "normal": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "zeros": Case(bottoms=[np.array([0.0, -0.0, 1.0])]),
        "tiny": Case(bottoms=[np.arange(-9, 9) * 3e-8]),
        "far": Case(bottoms=[np.arange(-110.0, 110.0, 0.37)]),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf])]),
        "alpha": Case("elu_param { alpha: 0.3 }"),
        "alpha-0": Case("elu_param { alpha: 0 }"),
        "alpha-negative": Case("elu_param { alpha: -2 }"),
        "in-place": Case(in_place=True),
        "in-place-alpha-negative": Case("elu_param { alpha: -2 }", in_place=True),
    }
    refusals = {
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        alpha, zero = np.float32(param.elu_param.alpha), np.float32(0)
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            e = np.float32(np.exp(np.float64(min(x[index], zero))))
            y[index] = max(x[index], zero) + alpha * (e - np.float32(1))
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (y,) = TestELU.reference(param, bottoms, blobs, phase)
        (x,), (dy,) = bottoms, top_diffs
        if param.bottom[0] == param.top[0]:
            x = y
        alpha = np.float32(param.elu_param.alpha)
        dx = np.empty_like(x)
        for index in np.ndindex(x.shape):
            above, below = np.float32(x[index] > 0), np.float32(x[index] <= 0)
            dx[index] = dy[index] * (above + (alpha + y[index]) * below)
        return [dx], []
