import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter

LARGE = np.array([[1000.0, 0.0, -1000.0], [5.0, 5.0, 5.0]])


class TestSoftmax(LayerContract):
    caffe_type = "Softmax"
    cases = {
        "channels": Case(),
        "two-axes": Case(bottoms=[(3, 7)]),
        "first": Case("softmax_param { axis: 0 }", [(5,)]),
        "last": Case("softmax_param { axis: -1 }", [(2, 3, 2, 2, 3)]),
        "engine": Case("softmax_param { engine: CAFFE axis: 2 }"),
        "one-class": Case(bottoms=[(2, 1, 3)]),
        "large": Case(bottoms=[LARGE]),
        "infinite": Case(
            bottoms=[np.array([[np.inf, 0.0], [-np.inf, -np.inf], [-np.inf, 0.0], [np.nan, 0.0]])]
        ),
    }
    refusals = {
        "axis": (Case("softmax_param { axis: 4 }"), "axis 4 is out of range"),
        "cudnn": (Case("softmax_param { engine: CUDNN }"), "engine: CUDNN is not in a Caffe"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        return [probabilities(x, param.softmax_param.axis)]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (x,), (dy,), axis = bottoms, top_diffs, param.softmax_param.axis
        y = probabilities(x, axis)
        dx = np.empty(x.shape)
        for index in np.ndindex(x.shape):
            total = 0.0
            for place in line(index, axis, x.shape):
                total += dy[place] * y[place]
            dx[index] = (dy[index] - total) * y[index]
        return [dx], []


def line(index: tuple[int, ...], axis: int, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The places that differ from ``index`` in ``axis`` only."""
    axis %= len(shape)
    return [(*index[:axis], place, *index[axis + 1 :]) for place in range(shape[axis])]


def probabilities(x: np.ndarray, axis: int) -> np.ndarray:
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        values = [x[place] for place in line(index, axis, x.shape)]
        largest = values[0]
        for value in values:
            largest = value if value > largest else largest
        y[index] = np.exp(x[index] - largest) / sum(np.exp(value - largest) for value in values)
    return y
