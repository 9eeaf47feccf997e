import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestConcat(LayerContract):
    caffe_type = "Concat"
    cases = {
        "channels": Case(bottoms=[(2, 3, 4, 5), (2, 1, 4, 5)]),
        "three": Case("concat_param { axis: 2 }", [(2, 1, 3), (2, 1, 1), (2, 1, 4)]),
        "batch": Case("concat_param { axis: 0 }", [(1, 3), (4, 3)]),
        "last": Case("concat_param { axis: -1 }", [(2, 3, 2, 2, 1), (2, 3, 2, 2, 4)]),
        "one-axis": Case("concat_param { axis: -1 }", [(3,), (4,)]),
        "legacy": Case("concat_param { concat_dim: 0 }", [(1, 3, 2, 2), (2, 3, 2, 2)]),
        "single": Case(bottoms=[(2, 3)]),
        "infinite": Case(
            bottoms=[np.array([[np.inf, -0.0]]), np.array([[np.nan, 1.0]])], gradcheck=False
        ),
    }
    refusals = {
        "other-size": (
            Case(bottoms=[(2, 3, 5, 6), (2, 3, 5, 5)]),
            'the bottoms may differ in axis 1 only; "b1" is 2x3x5x5, "b0" 2x3x5x6',
        ),
        "other-axes": (Case(bottoms=[(2, 3, 5), (2, 3)]), '"b1" is 2x3, "b0" 2x3x5'),
        "both-names": (
            Case("concat_param { axis: 1 concat_dim: 1 }", [(2, 3), (2, 3)]),
            "has both axis and concat_dim; give axis, which replaced concat_dim",
        ),
        "axis": (Case("concat_param { axis: 4 }"), "axis 4 is out of range"),
        "concat_dim": (Case("concat_param { concat_dim: 4 }"), "concat_dim 4 is out of range"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.concat_param
        axis = p.concat_dim if p.has("concat_dim") else p.axis
        axis += bottoms[0].ndim if axis < 0 else 0
        shape = list(bottoms[0].shape)
        shape[axis] = sum(bottom.shape[axis] for bottom in bottoms)
        y, start = np.empty(shape, bottoms[0].dtype), 0
        for bottom in bottoms:
            for index in np.ndindex(bottom.shape):
                y[(*index[:axis], start + index[axis], *index[axis + 1 :])] = bottom[index]
            start += bottom.shape[axis]
        return [y]
