import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter

EXAMPLE = [np.array([[2.0, 0.5, -3.0], [0.0, 1.0, 0.0]]), np.array([0, 1])]
L2 = "hinge_loss_param { norm: L2 }"


class TestHingeLoss(LayerContract):
    caffe_type = "HingeLoss"
    cases = {
        f"{name}-{norm}": Case(body, bottoms)
        for norm, body in (("default", ""), ("l1", "hinge_loss_param { norm: L1 }"), ("l2", L2))
        for name, bottoms in {
            "two-axes": [(4, 5), np.array([0, 4, 2, 2])],
            "maps": [(2, 3, 2, 2), np.array([11, 0])],
            "labels-of-four-axes": [(3, 4), np.array([1, 0, 3]).reshape(3, 1, 1, 1)],
            "on-the-kink": EXAMPLE,
            "fractions": [(2, 3), np.array([-0.9, 1.9])],
            "one-axis": [(3,), np.zeros(3)],
            "nan": [np.array([[np.nan, 1.0, 2.0]]), np.array([1])],
        }.items()
    }
    refusals = {
        "batch": (Case(bottoms=[(3, 4), (4,)]), "the same first dimension, got 3x4 and 4"),
        "five-axes": (Case(bottoms=[(2, 1, 1, 1, 3), (2,)]), "takes bottoms of at most 4 axes"),
        "one-bottom": (Case(), "takes 2 bottoms, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        x, label = bottoms
        total = 0.0
        for n, row in enumerate(x.reshape(len(x), -1)):
            for place, value in enumerate(row):
                margin = 1 + (-value if place == int(label.flat[n]) else value)
                if margin > 0:
                    total += margin if param.hinge_loss_param.norm == "L1" else margin**2
        return [np.array(total / len(x))]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        x, label = bottoms
        one, scale = np.float32(1), top_diffs[0]
        dx = np.zeros((len(x), x[0].size), np.float32)
        for n, row in enumerate(x.astype(np.float32).reshape(dx.shape)):
            for place, value in enumerate(row):
                sign = -one if place == int(label.flat[n]) else one
                margin = one + sign * value
                if margin > 0 and param.hinge_loss_param.norm == "L1":
                    dx[n, place] = sign * (scale / np.float32(len(x)))
                elif margin > 0:
                    dx[n, place] = sign * margin * (scale * 2 / np.float32(len(x)))
        return [dx.reshape(x.shape), None], []

    def test_compares_with_zero(self) -> None:
        """multi_margin_loss compares with the label's score."""
        case = self.cases["on-the-kink-default"]
        assert self.build(case).run(self.inputs(case)).blobs["t0"].item() == 1.75

    def test_names_a_label_that_is_no_class(self) -> None:
        case = Case(bottoms=[(2, 3), np.array([0.0, 3.0])])
        with pytest.raises(LayerError, match=r'"layer" .*label 3 is not one of its 3 classes'):
            self.build(case).run(self.inputs(case))
