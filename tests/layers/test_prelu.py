import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter

KINKS = np.array([[0.0, -0.0, 1.0], [-1.0, 0.0, 2.0]])


class TestPReLU(LayerContract):
    caffe_type = "PReLU"
    cases = {
        "channels": Case(),
        "shared": Case("prelu_param { channel_shared: true }"),
        "two-axes": Case(bottoms=[(3, 5)]),
        "three-axes": Case(bottoms=[(2, 3, 4)]),
        "one-channel": Case(bottoms=[(2, 1, 3, 3)]),
        "shared-two-axes": Case("prelu_param { channel_shared: true }", bottoms=[(3, 5)]),
        "zeros": Case(bottoms=[KINKS]),
        "in-place": Case(in_place=True),
    }
    refusals = {
        "one-axis": (Case(bottoms=[(5,)]), "takes a bottom with a channel axis, (N, C, ...)"),
        "five-axes": (Case(bottoms=[(1, 2, 1, 1, 1)]), "takes bottoms of at most 4 axes"),
        "two-bottoms": (Case(bottoms=[(2, 3), (2, 3)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), (slopes,) = bottoms, blobs
        zero = np.float32(0)
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            slope = slopes if param.prelu_param.channel_shared else slopes[index[1]]
            y[index] = max(x[index], zero) + slope * min(x[index], zero)
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (x,), (slopes,), (dy,) = bottoms, blobs, top_diffs
        dx, da = np.empty_like(x), np.zeros(slopes.shape)
        for index in np.ndindex(x.shape):
            place = () if param.prelu_param.channel_shared else (index[1],)
            dx[index] = dy[index] * ((x[index] > 0) + slopes[place] * (x[index] <= 0))
            da[place] += float(dy[index]) * float(x[index]) * (x[index] <= 0)
        return [dx], [da]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("", [0.25] * 3),
        ("prelu_param { filler { value: 2 } }", [2] * 3),
        ("prelu_param { channel_shared: true }", 0.25),
    ],
)
def test_filler(body: str, value: object) -> None:
    net = CaffeNet(Case(body).net("PReLU"))
    assert net.params["layer"][0].tolist() == value


@pytest.mark.parametrize("body", ["", "prelu_param { channel_shared: true }"])
def test_plain_gives_the_same_bits(body: str) -> None:
    case = Case(body)
    net = TestPReLU().build(case)
    plan = net.steps[-1].plan
    module = (plan.plain or plan.call).build()
    blobs = net.params["layer"]
    state = plan.plain_state(blobs) if plan.plain_state else {"weight": blobs[0]}
    module.load_state_dict(state)
    x = torch.from_numpy(case.arrays()["b0"])
    assert torch.equal(module(x), net(x)["t0"])


def test_what_is_not_finite_passes() -> None:
    net = TestPReLU().build(Case(bottoms=[(1, 3)]))
    y = net(torch.tensor([[torch.nan, torch.inf, -torch.inf]]))["t0"]
    np.testing.assert_array_equal(y.detach().numpy(), [[np.nan, np.inf, -np.inf]])
