import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestSplit(LayerContract):
    caffe_type = "Split"
    cases = {f"{tops}-tops": Case(tops=tops) for tops in (1, 2, 3, 5)} | {
        "no-axes": Case(bottoms=[()], tops=3),
    }
    refusals = {"two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2")}

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        return [bottoms[0].copy() for _ in param.top]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        dx = top_diffs[0]
        for diff in top_diffs[1:]:
            dx = dx + diff
        return [dx], []
