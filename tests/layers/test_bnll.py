import math

import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


def expf(x: np.float32) -> np.float32:
    return np.float32(np.exp(np.float64(x)))


class TestBNLL(LayerContract):
    caffe_type = "BNLL"
    cases = {
        "normal": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "zeros": Case(bottoms=[np.array([0.0, -0.0, 1e-6, -1e-6])]),
        "far": Case(bottoms=[np.arange(-110.0, 110.0, 0.37)]),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf])]),
        "in-place": Case(in_place=True),
    }
    refusals = {
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            if x[index] > 0:
                y[index] = float(x[index]) + math.log(1.0 + float(expf(-x[index])))
            else:
                y[index] = math.log(1.0 + float(expf(x[index])))
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (x,), (dy,) = bottoms, top_diffs
        if param.bottom[0] == param.top[0]:
            (x,) = TestBNLL.reference(param, bottoms, blobs, phase)
        dx = np.empty_like(x)
        for index in np.ndindex(x.shape):
            e = expf(min(x[index], np.float32(50)))
            dx[index] = float(dy[index] * e) / (float(e) + 1.0)
        return [dx], []
