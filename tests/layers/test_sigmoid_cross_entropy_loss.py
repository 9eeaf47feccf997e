import math

import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter

SHAPE = (3, 2, 2)
HARD = np.array([[[0, 1], [1, 1]], [[0, 0], [1, 0]], [[1, 0], [0, 1]]])
SOFT = np.linspace(-0.5, 1.75, 12).reshape(SHAPE)
MODES = {
    "default": "",
    "full": "normalization: FULL",
    "valid": "normalization: VALID",
    "batch": "normalization: BATCH_SIZE",
    "none": "normalization: NONE",
    "legacy-true": "normalize: true",
    "legacy-false": "normalize: false",
    "legacy-beside-the-new": "normalize: true normalization: NONE",
}


def body(more: str) -> str:
    return f"loss_param {{ {more} }}"


class TestSigmoidCrossEntropyLoss(LayerContract):
    caffe_type = "SigmoidCrossEntropyLoss"
    cases = {
        **{name: Case(body(mode), [SHAPE, HARD]) for name, mode in MODES.items()},
        **{
            f"ignore-{name}": Case(body(f"ignore_label: 1 {mode}"), [SHAPE, SOFT])
            for name, mode in MODES.items()
        },
        # As int(0.9) is 0, a soft target can be ignored.
        "ignore-soft": Case(body("ignore_label: 0"), [SHAPE, SOFT]),
        "all-ignored": Case(body("ignore_label: 1 normalize: true"), [SHAPE, np.ones(SHAPE)]),
        "other-shape": Case(bottoms=[(2, 6), (2, 3, 2)]),
        "one-axis": Case(bottoms=[(4,), np.array([0, 1, 1, 0])]),
        "five-axes": Case(bottoms=[(2, 1, 1, 2, 1), (2, 2)]),
        "far": Case(
            bottoms=[
                np.array([[-200.0, -60.0, -20.0, 20.0, 90.0]] * 2),
                np.array([[0] * 5, [1] * 5]),
            ]
        ),
    }
    refusals = {
        "count": (
            Case(bottoms=[(3, 4), (3, 5)]),
            "wants one target for each number, got 3x4 and 3x5",
        ),
        "batch": (Case(bottoms=[(3, 4), (4, 3)]), "the same first dimension, got 3x4 and 4x3"),
        "one-bottom": (Case(), "takes 2 bottoms, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        loss = 0.0
        for x, target in zip(bottoms[0].ravel(), bottoms[1].ravel(), strict=True):
            if not ignored(param, target):
                loss += max(x, 0) - x * target + math.log(1 + math.exp(-abs(x)))
        return [np.array(loss / normalizer(param, bottoms))]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        x, target = bottoms
        scale = top_diffs[0] / np.float32(normalizer(param, bottoms))
        dx = np.zeros(x.shape, np.float32)
        for place in range(x.size):
            if not ignored(param, target.flat[place]):
                # Caffe's sigmoid, in double and rounded once.
                p = np.float32(0.5 * math.tanh(0.5 * x.flat[place]) + 0.5)
                dx.flat[place] = (p - np.float32(target.flat[place])) * scale
        return [dx, None], []

    @pytest.mark.parametrize(
        ("mode", "expected"), [("", 2.0794415), ("normalize: true", 0.6931472)]
    )
    def test_divides_by_the_batch_if_nothing_is_said(self, mode: str, expected: float) -> None:
        case = Case(body(mode), [np.zeros((2, 3)), np.zeros((2, 3))])
        loss = self.build(case).run(self.inputs(case)).blobs["t0"].item()
        assert loss == pytest.approx(expected, rel=1e-6)


def ignored(param: LayerParameter, target: float) -> bool:
    return param.loss_param.has("ignore_label") and int(target) == param.loss_param.ignore_label


def normalizer(param: LayerParameter, bottoms: list[np.ndarray]) -> int:
    p, (x, target) = param.loss_param, bottoms
    mode = "BATCH_SIZE"
    if p.has("normalization"):
        mode = p.normalization
    elif p.has("normalize") and p.normalize:
        mode = "VALID"
    if mode == "VALID":
        return max(1, sum(not ignored(param, value) for value in target.ravel()))
    return {"FULL": x.size, "BATCH_SIZE": len(x), "NONE": 1}[mode]
