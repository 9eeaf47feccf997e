import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestSilence(LayerContract):
    caffe_type = "Silence"
    cases = {
        "one": Case(tops=0, gradcheck=False),
        "three": Case(bottoms=[(2,), (), (1, 2, 3, 4, 5)], tops=0, gradcheck=False),
    }
    refusals = {
        "no-bottom": (Case(bottoms=[], tops=0), "takes at least 1 bottom"),
        "a-top": (Case(), "takes 0 tops, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        return []

    def test_its_bottoms_are_no_outputs(self) -> None:
        assert self.build(self.cases["one"]).outputs == []
