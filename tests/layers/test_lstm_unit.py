import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.layers.lstm_unit import lstm_unit
from torchcaffe.proto.schema import LayerParameter

ONE_STEP = [(1, 3, 2), (1, 3, 8), np.array([[1.0, 0.0, 1.0]])]


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def tanh(x: float) -> float:
    return 2 * sigmoid(2 * x) - 1


class TestLSTMUnit(LayerContract):
    caffe_type = "LSTMUnit"
    cases = {
        "three-streams": Case("", ONE_STEP, tops=2),
        "one-stream": Case("", [(1, 1, 5), (1, 1, 20), np.ones((1, 1))], tops=2),
        "one-number": Case("", [(1, 1, 1), (1, 1, 4), np.zeros((1, 1))], tops=2),
        "saturated": Case("", [(1, 2, 3), 60 * np.ones((1, 2, 12)), np.ones((1, 2))], tops=2),
        "fractional-cont": Case(
            "", [(1, 3, 2), (1, 3, 8), np.array([[0.5, -0.25, 2.0]])], tops=2, gradcheck=False
        ),
        "forgotten-nan": Case(
            "",
            [np.ones((1, 1, 1)), np.array([[[0.0, np.nan, 0.0, 1.0]]]), np.zeros((1, 1))],
            tops=2,
            gradcheck=False,
        ),
    }
    refusals = {
        "two-steps": (
            Case("", [(2, 3, 2), (2, 3, 8), (2, 3)], tops=2),
            'takes 1xNxH for bottom 0, got 2x3x2 for "b0"; it computes one time step',
        ),
        "axes": (Case("", [(1, 3, 2), (1, 3, 8), (1, 3, 1)], tops=2), "takes 1xN for bottom 2"),
        "gates": (
            Case("", [(1, 3, 2), (1, 3, 7), (1, 3)], tops=2),
            "its bottoms must be 1xNxH, 1xNx4H and 1xN, got 1x3x2, 1x3x7, 1x3",
        ),
        "streams": (Case("", [(1, 3, 2), (1, 3, 8), (1, 2)], tops=2), "got 1x3x2, 1x3x8, 1x2"),
        "empty": (Case("", [(1, 0, 2), (1, 0, 8), (1, 0)], tops=2), "have no elements: 1x0x8"),
        "one-top": (Case("", ONE_STEP), "takes 2 tops, got 1"),
        "two-bottoms": (Case("", ONE_STEP[:2], tops=2), "takes 3 bottoms, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        previous, x, cont = bottoms
        size = previous.shape[2]
        c, h = np.empty_like(previous), np.empty_like(previous)
        for n in range(previous.shape[1]):
            for d in range(size):
                i, f, o = (sigmoid(x[0, n, gate * size + d]) for gate in range(3))
                f = 0 if cont[0, n] == 0 else cont[0, n] * f
                c[0, n, d] = f * previous[0, n, d] + i * tanh(x[0, n, 3 * size + d])
                h[0, n, d] = o * tanh(c[0, n, d])
        return [c, h]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray | None], list[np.ndarray]]:
        previous, x, cont = bottoms
        dc, dh = top_diffs
        size = previous.shape[2]
        dprevious, dx = np.empty_like(previous), np.empty_like(x)
        for n in range(previous.shape[1]):
            for d in range(size):
                i, f, o = (sigmoid(x[0, n, gate * size + d]) for gate in range(3))
                g = tanh(x[0, n, 3 * size + d])
                f = 0 if cont[0, n] == 0 else cont[0, n] * f
                tanh_c = tanh(f * previous[0, n, d] + i * g)
                e = dc[0, n, d] + dh[0, n, d] * o * (1 - tanh_c**2)
                dprevious[0, n, d] = e * f
                dx[0, n, d] = e * g * i * (1 - i)
                dx[0, n, size + d] = e * previous[0, n, d] * f * (1 - f)
                dx[0, n, 2 * size + d] = dh[0, n, d] * tanh_c * o * (1 - o)
                dx[0, n, 3 * size + d] = e * i * (1 - g**2)
        return [dprevious, dx, None], []


@pytest.mark.parametrize("name", ["three-streams", "one-number"])
def test_gradient_is_the_derivative_where_cont_is_zero_or_one(name: str) -> None:
    case = TestLSTMUnit.cases[name]
    TestLSTMUnit()._finite_differences(case, TestLSTMUnit().build(case).double())


def test_gives_float32_for_float32() -> None:
    c, h = lstm_unit(torch.zeros(1, 2, 3), torch.zeros(1, 2, 12), torch.ones(1, 2))
    assert c.dtype == h.dtype == torch.float32


def test_refuses_a_second_derivative() -> None:
    gates = torch.ones(1, 1, 4, requires_grad=True)
    c, _ = lstm_unit(torch.ones(1, 1, 1), gates, torch.ones(1, 1))
    (first,) = torch.autograd.grad(c.sum(), [gates], create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.sum().backward()
