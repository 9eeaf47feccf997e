import math

import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


def gate(x: np.float32, beta: np.float32) -> np.float32:
    return np.float32(0.5 * math.tanh(0.5 * float(x * beta)) + 0.5)


class TestSwish(LayerContract):
    caffe_type = "Swish"
    cases = {
        "normal": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "far": Case(bottoms=[np.arange(-40.0, 40.0, 0.37)]),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf])]),
        "beta": Case("swish_param { beta: 1.7 }"),
        "beta-0": Case("swish_param { beta: 0 }"),
        "beta-negative": Case("swish_param { beta: -0.3 }"),
        "in-place": Case("swish_param { beta: 0.3 }", in_place=True),
    }
    refusals = {
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        beta = np.float32(param.swish_param.beta)
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = x[index] * gate(x[index], beta)
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        beta = np.float32(param.swish_param.beta)
        (x,), (dy,) = bottoms, top_diffs
        dx = np.empty_like(x)
        for index in np.ndindex(x.shape):
            s = gate(x[index], beta)
            rise = float(beta * (x[index] * s))
            dx[index] = float(dy[index]) * (rise + float(s) * (1.0 - rise))
        return [dx], []
