import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestReLU(LayerContract):
    caffe_type = "ReLU"
    cases = {
        "plain": Case(),
        "leaky": Case("relu_param { negative_slope: 0.1 }"),
        "one-axis": Case(bottoms=[(7,)]),
        "infinite": Case(
            bottoms=[np.array([-np.inf, np.inf, np.nan, -1.0, 0.0, 2.0])], gradcheck=False
        ),
    }
    refusals = {
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
