from pathlib import Path

import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.proto import make_blob, write_wire
from torchcaffe.proto.schema import LayerParameter

H = np.array([[1.0, 0.5, 0.0], [0.25, 2.0, -1.0], [0.0, 0.0, 3.0]], np.float32)
SPACE = (2, 3, 2, 2)
LABELS = np.array([[[0, 2], [1, 1]], [[2, 0], [0, 1]]])
SOME = np.array([[[0, -1], [1, 1]], [[-1, 0], [0, 1]]])
MODES = {
    "default": "",
    "full": "normalization: FULL",
    "batch": "normalization: BATCH_SIZE",
    "none": "normalization: NONE",
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_wire("h.binaryproto", make_blob(H))
    write_wire("h2.binaryproto", make_blob(H[:2, :2]))


def source(name: str) -> str:
    return f'infogain_loss_param {{ source: "{name}.binaryproto" }}'


def body(more: str) -> str:
    return f"loss_param {{ {more} }}"


class TestInfogainLoss(LayerContract):
    caffe_type = "InfogainLoss"
    cases = {
        "two-axes": Case(bottoms=[(4, 3), np.array([0, 2, 1, 1]), H]),
        **{name: Case(body(mode), [SPACE, LABELS, H]) for name, mode in MODES.items()},
        **{
            f"ignore-{name}": Case(body(f"ignore_label: -1 {mode}"), [SPACE, SOME, H])
            for name, mode in MODES.items()
        },
        "all-ignored": Case(body("ignore_label: 1"), [SPACE, np.ones((2, 4)), H]),
        "axis": Case("infogain_loss_param { axis: -1 }", [(2, 2, 3), LABELS[0], H.reshape(9)]),
        "source": Case(source("h"), [SPACE, LABELS]),
        "source-two-tops": Case(
            f"{source('h')} {body('ignore_label: -1')} loss_weight: 1 loss_weight: 0",
            [SPACE, SOME],
            tops=2,
        ),
        "certain": Case(bottoms=[np.array([[200.0, 0.0, -100.0]]), np.array([0]), H]),
        "two-tops": Case("loss_weight: 1 loss_weight: 0", [SPACE, LABELS, H], tops=2),
    }
    refusals = {
        "no-h": (
            Case(bottoms=[SPACE, LABELS]),
            "has no H; give a third bottom, or its binaryproto file as source",
        ),
        "no-file": (
            Case(source("missing"), [SPACE, LABELS]),
            "its source cannot be read: missing.binaryproto does not exist",
        ),
        "file-of-another-size": (
            Case(source("h2"), [SPACE, LABELS]),
            "its H must be 3x3 for 3 classes, got 2x2",
        ),
        "bottom-of-another-size": (
            Case(bottoms=[SPACE, LABELS, (2, 3)]),
            "its H must be 3x3 for 3 classes, got 2x3",
        ),
        "normalize": (
            Case(body("normalize: true"), [SPACE, LABELS, H]),
            "does not take normalize; give normalization: VALID for true, BATCH_SIZE for false",
        ),
        "two-tops": (
            Case(bottoms=[SPACE, LABELS, H], tops=2),
            "has two tops, so it needs a loss_weight for each: loss_weight: 1 loss_weight: 0",
        ),
        "labels": (Case(bottoms=[SPACE, (2, 3), H]), "take labels of 2x2x2, got 2x3"),
        "cudnn": (
            Case("softmax_param { engine: CUDNN }", [SPACE, LABELS, H]),
            "engine: CUDNN is not in a Caffe",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        scores, labels, h, axis = positions(param, bottoms)
        probs, loss = np.empty_like(scores), 0.0
        for place, label in enumerate(labels):
            probs[place] = softmax(scores[place])
            if not ignored(param, label):
                for other, p in enumerate(probs[place]):
                    loss -= h[int(label)][other] * np.log(max(p, np.float32(1e-20)))
        whole = back(probs, bottoms[0].shape, axis)
        return [loss / normalizer(param, bottoms), whole][: len(param.top)]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        scores, labels, h, axis = positions(param, bottoms)
        dx = np.zeros_like(scores)
        for place, label in enumerate(labels):
            if not ignored(param, label):
                row = h[int(label)]
                for other, p in enumerate(softmax(scores[place])):
                    dx[place][other] = p * sum(row) - row[other]
        dx *= top_diffs[0] / normalizer(param, bottoms)
        return [back(dx, bottoms[0].shape, axis), None, None][: len(bottoms)], []

    def test_weighs_pairs_of_label_and_class(self) -> None:
        case = Case(
            bottoms=[
                np.array([[0.0, 1.0], [2.0, 0.0]]),
                np.array([0, 1]),
                np.array([[1.0, 0.5], [0.0, 2.0]]),
            ]
        )
        loss = self.build(case).run(self.inputs(case)).blobs["t0"].item()
        assert loss == pytest.approx(2.8618743, rel=1e-6)

    def test_names_a_label_that_is_no_class(self) -> None:
        case = Case(bottoms=[(2, 3), np.array([0.0, 3.0]), H])
        with pytest.raises(LayerError, match=r'"layer" .*label 3 is not one of its 3 classes'):
            self.build(case).run(self.inputs(case))


def positions(
    param: LayerParameter, bottoms: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Scores as (positions, classes), labels as (positions), H as a matrix, the axis."""
    axis = param.infogain_loss_param.axis % bottoms[0].ndim
    scores = np.moveaxis(bottoms[0], axis, -1)
    count = scores.shape[-1]
    h = (bottoms[2] if len(bottoms) == 3 else H).reshape(count, count)
    return scores.reshape(-1, count).astype(np.float64), bottoms[1].ravel(), h, axis


def back(rows: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    return np.moveaxis(rows.reshape(*shape[:axis], *shape[axis + 1 :], -1), -1, axis)


def softmax(row: np.ndarray) -> np.ndarray:
    powers = [np.exp(value - max(row)) for value in row]
    return np.array(powers) / sum(powers)


def ignored(param: LayerParameter, label: float) -> bool:
    return param.loss_param.has("ignore_label") and int(label) == param.loss_param.ignore_label


def normalizer(param: LayerParameter, bottoms: list[np.ndarray]) -> int:
    mode, (x, label) = param.loss_param.normalization, bottoms[:2]
    if mode == "VALID":
        return max(1, sum(not ignored(param, value) for value in label.ravel()))
    batch = 1
    for size in x.shape[: param.infogain_loss_param.axis % x.ndim]:
        batch *= size
    return {"FULL": label.size, "BATCH_SIZE": batch, "NONE": 1}[mode]
