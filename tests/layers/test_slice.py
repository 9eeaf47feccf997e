import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


class TestSlice(LayerContract):
    caffe_type = "Slice"
    cases = {
        "equal": Case(bottoms=[(2, 6, 3)], tops=3),
        "points": Case("slice_param { slice_point: 1 slice_point: 4 }", [(2, 6, 3)], tops=3),
        "batch": Case("slice_param { axis: 0 }", [(4, 1)], tops=2),
        "batch-points": Case("slice_param { axis: 0 slice_point: 3 }", [(4, 2)], tops=2),
        "from-the-end": Case("slice_param { axis: -2 slice_point: 1 }", tops=2),
        "one-axis": Case("slice_param { axis: 0 }", [(4,)], tops=4),
        "five-axes": Case("slice_param { axis: 3 }", [(2, 1, 2, 4, 2)], tops=2),
        "legacy": Case("slice_param { slice_dim: 3 slice_point: 2 }", tops=2),
        "single": Case(),
    }
    refusals = {
        "uneven": (
            Case(tops=2),
            "axis 1 of a bottom of 2x3x4x5 does not divide into 2 equal tops; give 1 slice_point",
        ),
        "points": (
            Case("slice_param { slice_point: 1 slice_point: 2 }", tops=2),
            "has 2 slice_point for 2 tops; give 1, or none to cut equal parts",
        ),
        "order": (
            Case("slice_param { slice_point: 2 slice_point: 1 }", tops=3),
            "the slice_point must rise, each above 0 and below 3, the size of axis 1; got 2, 1",
        ),
        "zero": (Case("slice_param { slice_point: 0 }", tops=2), "above 0 and below 3"),
        "at-the-end": (Case("slice_param { slice_point: 3 }", tops=2), "got 3"),
        "both-names": (
            Case("slice_param { axis: 1 slice_dim: 1 }", tops=3),
            "has both axis and slice_dim; give axis, which replaced slice_dim",
        ),
        "axis": (Case("slice_param { axis: -5 }"), "axis -5 is out of range"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.slice_param
        axis = p.slice_dim if p.has("slice_dim") else p.axis
        axis += x.ndim if axis < 0 else 0
        size = x.shape[axis]
        count = len(param.top)
        cuts = list(p.slice_point) or [part * size // count for part in range(1, count)]
        tops = []
        for start, end in zip([0, *cuts], [*cuts, size], strict=True):
            y = np.empty((*x.shape[:axis], end - start, *x.shape[axis + 1 :]), x.dtype)
            for index in np.ndindex(y.shape):
                y[index] = x[(*index[:axis], index[axis] + start, *index[axis + 1 :])]
            tops.append(y)
        return tops

    def test_takes_another_size_if_the_cuts_still_fit(self) -> None:
        equal = CaffeNet(self.cases["batch"].net("Slice"), "TEST")
        assert equal(np.ones((6, 1)))["t1"].shape == (3, 1)
        points = CaffeNet(self.cases["batch-points"].net("Slice"), "TEST")
        assert points(np.ones((9, 2)))["t1"].shape == (6, 2)

    def test_refuses_a_size_that_the_cuts_do_not_fit(self) -> None:
        equal = CaffeNet(self.cases["batch"].net("Slice"), "TEST")
        with pytest.raises(LayerError, match=r'"layer".*cannot be computed for 5x1'):
            equal(np.ones((5, 1)))
        points = CaffeNet(self.cases["batch-points"].net("Slice"), "TEST")
        with pytest.raises(LayerError, match="no slice_point may reach 3, the size of axis 0"):
            points(np.ones((3, 2)))
