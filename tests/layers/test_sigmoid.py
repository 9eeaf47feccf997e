import math

import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter

FAR = np.concatenate([np.arange(-40.0, 40.0, 0.37), [-120.0, 120.0, 1e30, -1e30]])


class TestSigmoid(LayerContract):
    caffe_type = "Sigmoid"
    cases = {
        "normal": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "no-axes": Case(bottoms=[np.array(0.3)]),
        "five-axes": Case(bottoms=[(2, 1, 2, 3, 2)]),
        "tiny": Case(bottoms=[np.arange(-5, 6) * 1e-6]),
        "far": Case(bottoms=[FAR]),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf])]),
        "in-place": Case(in_place=True),
        "engine": Case("sigmoid_param { engine: CAFFE }"),
    }
    refusals = {
        "cudnn": (Case("sigmoid_param { engine: CUDNN }"), "engine: CUDNN is not in a Caffe built"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = 0.5 * math.tanh(0.5 * x[index]) + 0.5
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (y,) = TestSigmoid.reference(param, bottoms, blobs, phase)
        (dy,) = top_diffs
        dx = np.empty_like(y)
        for index in np.ndindex(y.shape):
            dx[index] = float(dy[index] * y[index]) * (1.0 - float(y[index]))
        return [dx], []
