import math

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter

EXAMPLE = [np.array([[0.3, 0.4], [0.0, 0.0]]), np.zeros((2, 2)), np.array([0, 1])]
ALIKE = np.array([1, 0, 0, 1, 0])
NEAR = [np.linspace(-0.3, 0.3, 15).reshape(5, 3), np.zeros((5, 3)), ALIKE]


def body(more: str) -> str:
    return f"contrastive_loss_param {{ {more} }}"


class TestContrastiveLoss(LayerContract):
    caffe_type = "ContrastiveLoss"
    cases = {
        f"{name}-{version}": Case(body(f"{more} {legacy}"), bottoms)
        for version, legacy in (("new", ""), ("legacy", "legacy_version: true"))
        for name, more, bottoms in (
            ("random", "", [(5, 3), (5, 3), ALIKE]),
            ("near", "", NEAR),
            ("wide", "margin: 4", [(5, 3), (5, 3), ALIKE]),
            ("no-margin", "margin: 0", NEAR),
            ("equal", "", [np.ones((2, 2)), np.ones((2, 2)), np.zeros(2)]),
            ("four-axes", "margin: 2", [(2, 3, 1, 1), (2, 3), np.array([[0], [1]])]),
            ("one-axis", "margin: 2", [(3,), (3,), np.array([0, 2, -1])]),
            ("fractions", "margin: 3", [(3, 2), (3, 2), np.array([0.9, -0.9, 1.9])]),
        )
    }
    refusals = {
        "maps": (
            Case(bottoms=[(2, 3, 2, 1), (2, 3, 2, 1), (2,)]),
            "wants two blobs of features (N, C) or (N, C, 1, 1), got 2x3x2x1 and 2x3x2x1",
        ),
        "channels": (Case(bottoms=[(2, 3), (2, 4), (2,)]), "got 2x3 and 2x4"),
        "batch": (
            Case(bottoms=[(2, 3), (3, 3), (2,)]),
            "the same first dimension, got 2x3 and 3x3",
        ),
        "labels": (
            Case(bottoms=[(2, 3), (2, 3), (2, 2)]),
            "wants one number for each of 2 pairs, got 2x2",
        ),
        "too-few-labels": (
            Case(bottoms=[(2, 3), (2, 3), (1,)]),
            "wants one number for each of 2 pairs, got 1",
        ),
        "five-axes": (
            Case(bottoms=[(2, 3), (2, 3), (2, 1, 1, 1, 1)]),
            "takes bottoms of at most 4 axes",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.contrastive_loss_param
        loss = 0.0
        for square, alike in zip(squares(bottoms), bottoms[2].ravel(), strict=True):
            if int(alike):
                loss += square
            elif p.legacy_version:
                loss += max(p.margin - square, 0)
            else:
                loss += max(p.margin - math.sqrt(square), 0) ** 2
        return [np.array(loss / len(bottoms[0]) / 2)]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        p, (a, b, alike) = param.contrastive_loss_param, bottoms
        alpha = float(top_diffs[0]) / len(a)
        da = np.zeros_like(a)
        for n, square in enumerate(squares(bottoms)):
            diff = a[n] - b[n].reshape(a[n].shape)
            distance = math.sqrt(square)
            if int(alike.flat[n]):
                da[n] = alpha * diff
            elif p.legacy_version and p.margin - square > 0:
                da[n] = -alpha * diff
            elif not p.legacy_version and p.margin - distance > 0:
                da[n] = -alpha * (p.margin - distance) / (distance + float(np.float32(1e-4))) * diff
        return [da, -da.reshape(b.shape), None], []

    def test_the_gradient_divides_by_the_distance_and_a_little(self) -> None:
        """Autograd gives -0.15 and -0.2."""
        case = Case(bottoms=EXAMPLE)
        given = {name: value.requires_grad_() for name, value in self.inputs(case).items()}
        loss = self.build(case).run(given).blobs["t0"]
        (grad,) = torch.autograd.grad(loss, [given["b0"]])
        assert loss.item() == pytest.approx(0.0625, rel=1e-6)
        assert grad[0].tolist() == [pytest.approx(-0.14997, 1e-6), pytest.approx(-0.19996, 1e-6)]


def squares(bottoms: list[np.ndarray]) -> list[float]:
    a, b = (bottom.reshape(len(bottom), -1) for bottom in bottoms[:2])
    return [
        sum((x - y) ** 2 for x, y in zip(*pair, strict=True)) for pair in zip(a, b, strict=True)
    ]
