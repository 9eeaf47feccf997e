import math

import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestTanH(LayerContract):
    caffe_type = "TanH"
    cases = {
        "normal": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "five-axes": Case(bottoms=[(2, 1, 2, 3, 2)]),
        "tiny": Case(bottoms=[np.arange(-5, 6) * 1e-6]),
        "far": Case(bottoms=[np.arange(-12.0, 12.0, 0.37)]),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf])], gradcheck=False),
        "in-place": Case(in_place=True),
        "engine": Case("tanh_param { engine: CAFFE }"),
    }
    refusals = {
        "cudnn": (Case("tanh_param { engine: CUDNN }"), "engine: CUDNN is not in a Caffe built"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = math.tanh(x[index])
        return [y]
