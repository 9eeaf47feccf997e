import math

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto.schema import LayerParameter

PROBS = np.array([[0.25, 0.5, 0.25], [0.1, 0.2, 0.7], [0.0, 1.0, 1e-30]])
LEAST = np.float32(1e-20)


class TestMultinomialLogisticLoss(LayerContract):
    caffe_type = "MultinomialLogisticLoss"
    cases = {
        "two-axes": Case(bottoms=[PROBS, np.array([0, 2, 1])]),
        "nothing-likely": Case(bottoms=[PROBS, np.array([0, 2, 0])]),
        "too-small": Case(bottoms=[PROBS, np.array([1, 1, 2])]),
        "labels-of-four-axes": Case(bottoms=[PROBS, np.array([1, 0, 1]).reshape(3, 1, 1, 1)]),
        "maps": Case(bottoms=[np.linspace(0.1, 0.9, 8).reshape(2, 2, 2, 1), np.array([3, 0])]),
        "fractions": Case(bottoms=[PROBS[:2], np.array([-0.5, 1.5])]),
        "negative": Case(bottoms=[-PROBS[:2], np.array([0, 1])]),
    }
    refusals = {
        "labels": (
            Case(bottoms=[(3, 4), (3, 2)]),
            "wants one label for each item, (N) or (N, 1, 1, 1), got 3x2",
        ),
        "batch": (Case(bottoms=[(3, 4), (4,)]), "the same first dimension, got 3x4 and 4"),
        "five-axes": (Case(bottoms=[(2, 1, 1, 1, 3), (2,)]), "takes bottoms of at most 4 axes"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        prob, label = bottoms
        loss = 0.0
        for n, row in enumerate(prob.reshape(len(prob), -1)):
            loss -= math.log(max(row[int(label.flat[n])], LEAST))
        return [np.array(loss / len(prob))]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        prob, label = bottoms
        rows = prob.astype(np.float32).reshape(len(prob), -1)
        dx = np.zeros_like(rows)
        for n, row in enumerate(rows):
            place = int(label.flat[n])
            dx[n, place] = -top_diffs[0] / np.float32(len(rows)) / max(row[place], LEAST)
        return [dx.reshape(prob.shape), None], []

    def test_an_impossible_label_still_has_a_gradient(self) -> None:
        case = Case(bottoms=[np.array([[0.0, 1.0]]), np.array([0])])
        given = {name: value.requires_grad_() for name, value in self.inputs(case).items()}
        loss = self.build(case).run(given).blobs["t0"]
        (grad,) = torch.autograd.grad(loss, [given["b0"]])
        assert loss.item() == pytest.approx(46.0517, rel=1e-6)
        assert grad.tolist() == [[pytest.approx(-1e20, rel=1e-6), 0]]

    def test_names_a_label_that_is_no_class(self) -> None:
        case = Case(bottoms=[(2, 3), np.array([0.0, -1.0])])
        with pytest.raises(LayerError, match=r'"layer" .*label -1 is not one of its 3 classes'):
            self.build(case).run(self.inputs(case))
