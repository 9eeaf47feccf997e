import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter


class TestBatchReindex(LayerContract):
    caffe_type = "BatchReindex"
    cases = {
        "reversed": Case(bottoms=[(3, 2), np.array([2, 1, 0])]),
        "repeated": Case(bottoms=[(3, 2, 2), np.array([0, 2, 0, 0, 2])]),
        "fewer": Case(bottoms=[(3, 2), np.array([1])]),
        "none": Case(bottoms=[(3, 2), np.zeros(0)], gradcheck=False),
        "fractions": Case(bottoms=[(3, 2), np.array([0.9, 2.9])]),
        "one-axis": Case(bottoms=[(4,), np.array([3, 3, 0])]),
        "five-axes": Case(bottoms=[(2, 1, 1, 2, 2), np.array([1, 0, 1])]),
    }
    refusals = {
        "two-axes": (
            Case(bottoms=[(3, 2), (3, 1)]),
            "its second bottom holds indices along 1 axis, got 3x1",
        ),
        "no-axes": (Case(bottoms=[(), (2,)]), "takes a bottom of at least 1 axis, got ()"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        x, index = bottoms
        y = np.empty((len(index), *x.shape[1:]), x.dtype)
        for place, number in enumerate(index):
            y[place] = x[int(number)]
        return [y]

    @pytest.mark.parametrize("index", [3.0, -1.0, -0.5, np.nan])
    def test_names_an_index_that_is_no_item(self, index: float) -> None:
        case = Case(bottoms=[(3, 2), np.array([0, index])])
        words = rf'"layer" .*index {index:g} is not one of its 3 items, 0 to 2'
        with pytest.raises(LayerError, match=words):
            self.build(case).run(self.inputs(case))
