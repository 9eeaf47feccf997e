import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter

NAN = np.nan
TIES = [
    np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [NAN, NAN, NAN], [3.0, 1.0, 0.0]]),
    np.array([0, 1, 2, 1]),
]
MAPS = (2, 4, 2, 3)
LABELS = np.array([[[0, 1, 2], [3, 0, 0]], [[2, 2, 1], [3, 3, 1]]])


def body(more: str) -> str:
    return f"accuracy_param {{ {more} }}"


class TestAccuracy(LayerContract):
    caffe_type = "Accuracy"
    cases = {
        "two-axes": Case(bottoms=[(6, 4), np.array([0, 3, 2, 1, 1, 0])]),
        "maps": Case(bottoms=[MAPS, LABELS], tops=2),
        "top-3": Case(body("top_k: 3"), [MAPS, LABELS], tops=2),
        "all-right": Case(body("top_k: 4"), [MAPS, LABELS]),
        "top-0": Case(body("top_k: 0"), [MAPS, LABELS]),
        "ignore": Case(body("ignore_label: 2"), [MAPS, LABELS], tops=2),
        "ignore-no-class": Case(body("ignore_label: 255"), [(2, 3), np.array([255, 1])], tops=2),
        "all-ignored": Case(body("ignore_label: 1"), [(2, 3), np.array([1, 1])], tops=2),
        "axis": Case(body("axis: -1"), [(2, 3, 4), np.array([[0, 1, 3], [2, 2, 0]])], tops=2),
        "axis-0": Case(body("axis: 0"), [(4, 3), np.array([0, 1, 3])], tops=2),
        "ties": Case(bottoms=TIES, tops=2),
        "ties-top-2": Case(body("top_k: 2"), TIES),
        "zeros": Case(bottoms=[np.zeros((4, 3)), np.array([0, 1, 2, 0])]),
        "missing-class": Case(bottoms=[(3, 5), np.array([0, 4, 0])], tops=2),
        "fractions": Case(bottoms=[(3, 3), np.array([0.9, -0.5, 2.7])]),
    }
    refusals = {
        "top_k": (
            Case(body("top_k: 5"), [(3, 4), (3,)]),
            "top_k 5 is more than the 4 classes of axis 1",
        ),
        "labels": (
            Case(bottoms=[(2, 3, 2, 2), (2, 3)]),
            "scores of 2x3x2x2 with axis 1 take labels of 2x2x2, got 2x3",
        ),
        "axis": (Case(body("axis: 2"), [(3, 4), (3,)]), "axis 2 is out of range"),
        "one-bottom": (Case(), "takes 2 bottoms, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x, label), p = bottoms, param.accuracy_param
        rows = np.moveaxis(x, p.axis, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        right, seen = [0] * rows.shape[1], [0] * rows.shape[1]
        for row, value in zip(rows, label.ravel(), strict=True):
            true = int(value)
            if p.has("ignore_label") and true == p.ignore_label:
                continue
            seen[true] += 1
            rank = -1
            for score in row:
                rank += bool(score >= row[true])
            right[true] += rank < p.top_k
        shares = [
            np.float32(r) / np.float32(s) if s else 0 for r, s in zip(right, seen, strict=True)
        ]
        overall = np.float32(sum(right)) / np.float32(sum(seen)) if sum(seen) else 0
        return [np.float32(overall), np.array(shares)][: len(param.top)]

    def test_ties_count_against_the_label(self) -> None:
        case = self.cases["ties"]
        blobs = self.build(case).run(self.inputs(case)).blobs
        assert blobs["t0"].item() == 0.5
        assert blobs["t1"].tolist() == [0, 0.5, 1]

    def test_names_a_label_that_is_no_class(self) -> None:
        case = Case(bottoms=[(2, 3), np.array([1.0, 3.0])])
        with pytest.raises(LayerError, match=r'"layer" .*label 3 is not one of its 3 classes'):
            self.build(case).run(self.inputs(case))

    def test_exports(self) -> None:
        case = self.cases["maps"]
        net, given = self.build(case), self.inputs(case)
        program = torch.export.export(net, (), given)
        assert torch.equal(program.module()(**given)["t1"], net(**given)["t1"])
