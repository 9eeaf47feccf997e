import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestEuclideanLoss(LayerContract):
    caffe_type = "EuclideanLoss"
    cases = {
        "two-axes": Case(bottoms=[(3, 4), (3, 4)]),
        "four-axes": Case(bottoms=[(2, 3, 4, 5), (2, 3, 4, 5)]),
        "other-shapes": Case(bottoms=[(2, 6), (2, 1, 2, 3)]),
        "one-axis": Case(bottoms=[(5,), (5,)]),
        "four-numbers": Case(bottoms=[np.array([[1.0, 2.0, 3.0, 4.0]]), np.zeros((1, 4))]),
        # force_backward overrules propagate_down.
        "first-only": Case("propagate_down: true propagate_down: false", [(3, 4), (3, 4)]),
        "equal": Case(bottoms=[np.ones((2, 3)), np.ones((2, 3))]),
    }
    refusals = {
        "count": (
            Case(bottoms=[(3, 4), (3, 5)]),
            "its bottoms must have as many numbers each, got 3x4 and 3x5",
        ),
        "batch": (
            Case(bottoms=[(3, 4), (4, 3)]),
            "its bottoms must have the same first dimension, got 3x4 and 4x3",
        ),
        "five-axes": (
            Case(bottoms=[(2, 1, 1, 1, 3), (2, 3)]),
            "takes bottoms of at most 4 axes",
        ),
        "no-axes": (Case(bottoms=[(), ()]), "the same first dimension, got () and ()"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        a, b = bottoms
        total = 0.0
        for one, other in zip(a.ravel(), b.ravel(), strict=True):
            total += (one - other) ** 2
        return [total / len(a) / 2]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        a, b = (bottom.astype(np.float32) for bottom in bottoms)
        scale = top_diffs[0] / np.float32(len(a))
        da, db = np.empty_like(a), np.empty_like(b)
        for place in range(a.size):
            da.flat[place] = scale * (a.flat[place] - b.flat[place])
            db.flat[place] = -scale * (a.flat[place] - b.flat[place])
        return [da, db], []

    def test_four_numbers_give_fifteen(self) -> None:
        """mse_loss gives 7.5."""
        case = self.cases["four-numbers"]
        assert self.build(case).run(self.inputs(case)).blobs["t0"].item() == 15
