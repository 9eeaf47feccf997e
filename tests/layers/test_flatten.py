import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestFlatten(LayerContract):
    caffe_type = "Flatten"
    cases = {
        "default": Case(),
        "middle": Case("flatten_param { axis: 1 end_axis: 2 }", [(2, 3, 4, 5, 1)]),
        "all": Case("flatten_param { axis: 0 }"),
        "from-the-end": Case("flatten_param { axis: -3 end_axis: -2 }"),
        "one-axis": Case("flatten_param { axis: 0 }", [(5,)]),
        "nothing": Case("flatten_param { axis: 2 end_axis: 2 }"),
    }
    refusals = {
        "order": (
            Case("flatten_param { axis: 3 end_axis: 2 }"),
            "end_axis 2 comes before axis 3",
        ),
        "axis": (Case(bottoms=[(5,)]), "axis 1 is out of range for a bottom with 1 axes 5"),
        "end": (Case("flatten_param { end_axis: 4 }"), "end_axis 4 is out of range"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.flatten_param
        start = p.axis % x.ndim
        end = p.end_axis % x.ndim
        merged = 1
        for size in x.shape[start : end + 1]:
            merged *= size
        y = np.empty((*x.shape[:start], merged, *x.shape[end + 1 :]), x.dtype)
        for index in np.ndindex(x.shape):
            place = 0
            for axis in range(start, end + 1):
                place = place * x.shape[axis] + index[axis]
            y[(*index[:start], place, *index[end + 1 :])] = x[index]
        return [y]
