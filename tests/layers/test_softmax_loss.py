import math

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter

SPACE = (2, 3, 2, 2)
LABELS = np.array([[[0, 2], [1, 1]], [[2, 0], [0, 1]]])
SOME = np.array([[[0, -1], [1, 1]], [[-1, 0], [0, 1]]])
FAR = [np.array([[0.0, 1000.0], [1000.0, 0.0]]), np.array([0, 0])]
EXAMPLE = [np.zeros((2, 3, 2)), np.array([[-1, 0], [1, 2]])]


def body(more: str) -> str:
    return f"loss_param {{ {more} }}"


MODES = {
    "default": "",
    "full": "normalization: FULL",
    "valid": "normalization: VALID",
    "batch": "normalization: BATCH_SIZE",
    "none": "normalization: NONE",
    "legacy-true": "normalize: true",
    "legacy-false": "normalize: false",
    "legacy-beside-the-new": "normalize: false normalization: FULL",
}


class TestSoftmaxWithLoss(LayerContract):
    caffe_type = "SoftmaxWithLoss"
    cases = {
        "two-axes": Case(bottoms=[(4, 5), np.array([0, 4, 2, 2])]),
        **{name: Case(body(mode), [SPACE, LABELS]) for name, mode in MODES.items()},
        **{
            f"ignore-{name}": Case(body(f"ignore_label: -1 {mode}"), [SPACE, SOME])
            for name, mode in MODES.items()
        },
        "all-ignored": Case(body("ignore_label: 1"), [SPACE, np.ones((2, 1, 2, 2))]),
        "axis": Case("softmax_param { axis: -1 }", [(2, 2, 3), np.array([[0, 2], [1, 1]])]),
        "labels-with-another-shape": Case(bottoms=[SPACE, LABELS.reshape(2, 4, 1)]),
        "labels-with-fractions": Case(
            body("ignore_label: 2"), [(3, 3), np.array([0.9, -0.5, 2.7])]
        ),
        "far": Case(bottoms=FAR),
        "certain": Case(bottoms=[np.array([[20.0, 0.0, 1.0]]), np.array([0])]),
        "infinite": Case(bottoms=[np.array([[np.inf, 0.0]]), np.array([1])]),
        "nan-ignored": Case(
            body("ignore_label: 1"), [np.array([[np.nan, 0.0], [1.0, 0.0]]), np.array([1, 0])]
        ),
        "two-tops": Case(bottoms=[SPACE, LABELS], tops=2),
        "one-class": Case(bottoms=[(3, 1), np.zeros(3)]),
    }
    refusals = {
        "labels": (
            Case(bottoms=[(2, 3, 2, 2), (2, 3)]),
            "scores of 2x3x2x2 with axis 1 take labels of 2x2x2, got 2x3",
        ),
        "batch": (Case(bottoms=[(3, 4), (1, 3)]), "the same first dimension, got 3x4 and 1x3"),
        "axis": (Case("softmax_param { axis: 2 }", [(3, 4), (3,)]), "axis 2 is out of range"),
        "cudnn": (
            Case("softmax_param { engine: CUDNN }", [(3, 4), (3,)]),
            "engine: CUDNN is not in a Caffe",
        ),
        "one-bottom": (Case(), "takes 2 bottoms, got 1"),
        "three-tops": (Case(bottoms=[(3, 4), (3,)], tops=3), "takes 1 to 2 tops, got 3"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        scores, labels, shape = positions(param, bottoms)
        probs, loss = np.empty_like(scores), 0.0
        for place, label in enumerate(labels):
            probs[place] = softmax(scores[place])
            if not ignored(param, label):
                loss -= np.log(max(probs[place][int(label)], 2.0**-126))
        axis = param.softmax_param.axis % len(shape)
        whole = np.moveaxis(probs.reshape(*shape[:axis], *shape[axis + 1 :], -1), -1, axis)
        return [loss / normalizer(param, bottoms), whole][: len(param.top)]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        scores, labels, shape = positions(param, bottoms)
        dx = np.zeros_like(scores)
        for place, label in enumerate(labels):
            if not ignored(param, label):
                dx[place] = softmax(scores[place])
                dx[place][int(label)] -= 1
        dx *= top_diffs[0] / normalizer(param, bottoms)
        axis = param.softmax_param.axis % len(shape)
        whole = np.moveaxis(dx.reshape(*shape[:axis], *shape[axis + 1 :], -1), -1, axis)
        return [whole, None], []

    def loss(self, case: Case) -> float:
        return float(self.build(case).run(self.inputs(case)).blobs["t0"])

    def test_stays_at_the_log_of_the_smallest_float(self) -> None:
        """cross_entropy gives 1000."""
        case = Case(bottoms=[np.array([[0.0, 1000.0]]), np.array([0])])
        assert self.loss(case) == np.float32(87.3365447)

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [("VALID", 1.0986123), ("FULL", 0.8239592), ("BATCH_SIZE", 1.6479184), ("NONE", 3.2958369)],
    )
    def test_modes_divide_by(self, mode: str, expected: float) -> None:
        case = Case(body(f"ignore_label: -1 normalization: {mode}"), EXAMPLE)
        assert self.loss(case) == pytest.approx(expected, rel=1e-6)

    def test_names_a_label_that_is_no_class(self) -> None:
        for label in (5.0, -1.0, math.nan):
            case = Case(bottoms=[(2, 3), np.array([1.0, label])])
            words = rf'"layer" .*label {label:g} is not one of its 3 classes, 0 to 2'
            with pytest.raises(LayerError, match=words):
                self.loss(case)

    def test_exports(self) -> None:
        case = self.cases["ignore-valid"]
        net = self.build(case)
        given = self.inputs(case)
        program = torch.export.export(net, (), given)
        assert torch.equal(program.module()(**given)["t0"], net(**given)["t0"])


def positions(
    param: LayerParameter, bottoms: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Scores as (positions, classes), labels as (positions)."""
    x, label = bottoms
    scores = np.moveaxis(x, param.softmax_param.axis, -1)
    return scores.reshape(-1, scores.shape[-1]).astype(np.float64), label.ravel(), x.shape


def softmax(row: np.ndarray) -> np.ndarray:
    powers = [np.exp(value - max(row)) for value in row]
    return np.array(powers) / sum(powers)


def ignored(param: LayerParameter, label: float) -> bool:
    return param.loss_param.has("ignore_label") and int(label) == param.loss_param.ignore_label


def normalizer(param: LayerParameter, bottoms: list[np.ndarray]) -> int:
    p, (x, label) = param.loss_param, bottoms
    mode = p.normalization
    if p.has("normalize") and not p.has("normalization"):
        mode = "VALID" if p.normalize else "BATCH_SIZE"
    if mode == "VALID":
        return max(1, sum(not ignored(param, value) for value in label.ravel()))
    if mode == "FULL":
        return label.size
    batch = 1
    for size in x.shape[: param.softmax_param.axis % x.ndim]:
        batch *= size
    return batch if mode == "BATCH_SIZE" else 1
