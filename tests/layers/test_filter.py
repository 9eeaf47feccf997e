import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter

SOME = np.array([0.0, 1.0, 0.0, -0.5])


class TestFilter(LayerContract):
    caffe_type = "Filter"
    cases = {
        "some": Case(bottoms=[(4, 3), SOME]),
        "two": Case(bottoms=[(4, 3), (4,), SOME.reshape(4, 1, 1)], tops=2),
        "all": Case(bottoms=[(3, 2, 2), np.ones(3)]),
        "none": Case(bottoms=[(3, 2), np.zeros(3)], gradcheck=False),
        "nan": Case(bottoms=[(3, 2), np.array([np.nan, 0.0, -0.0])]),
        "five-axes": Case(bottoms=[(2, 1, 2, 1, 2), np.array([0.0, 2.0])]),
    }
    refusals = {
        "tops": (
            Case(bottoms=[(3, 2), (3,)], tops=2),
            "takes a top for each bottom but the last, the selector: 1, got 2",
        ),
        "selector": (
            Case(bottoms=[(3, 2), (3, 2)]),
            "must be one number for each item, (N) or (N, 1, ...), got 3x2",
        ),
        "batch": (
            Case(bottoms=[(3, 2), (2, 2), (3,)], tops=2),
            'its bottoms must have as many items as the selector, 3; "b1" is 2x2',
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        *values, selector = bottoms
        picked = [n for n, value in enumerate(selector.ravel()) if value != 0]
        return [np.array([x[n] for n in picked]).reshape(-1, *x.shape[1:]) for x in values]

    def test_refuses_another_batch(self) -> None:
        net = self.build(self.cases["some"])
        with pytest.raises(LayerError, match=r'"layer".*cannot be computed for 2x3, 4'):
            net(b0=np.ones((2, 3)), b1=SOME)
