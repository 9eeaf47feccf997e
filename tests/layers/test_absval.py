import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestAbsVal(LayerContract):
    caffe_type = "AbsVal"
    cases = {
        "normal": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "five-axes": Case(bottoms=[(2, 1, 2, 3, 2)]),
        "zeros": Case(bottoms=[np.array([0.0, -0.0, 1.0])]),
        "infinite": Case(bottoms=[np.array([np.inf, -np.inf])]),
    }
    refusals = {
        "in-place": (Case(in_place=True), "Caffe's AbsVal refuses working in place"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = -x[index] if x[index] < 0 else x[index]
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
        dx = np.empty_like(x)
        for index in np.ndindex(x.shape):
            dx[index] = dy[index] * (np.float32(x[index] > 0) - np.float32(x[index] < 0))
        return [dx], []
