import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter

Array = np.ndarray
INDICES = np.array([[0, 2, 2, 5], [5, 1, 0, 2]])


def body(options: str) -> str:
    return f"embed_param {{ {options} }}"


class TestEmbed(LayerContract):
    caffe_type = "Embed"
    cases = {
        "two-axes": Case(body("num_output: 3 input_dim: 6"), [INDICES]),
        "no-bias": Case(body("num_output: 3 input_dim: 6 bias_term: false"), [INDICES]),
        "one-axis": Case(body("num_output: 2 input_dim: 3"), [np.array([2, 0, 2])]),
        "three-axes": Case(body("num_output: 1 input_dim: 6"), [INDICES.reshape(2, 2, 2)]),
        "one-row": Case(body("num_output: 4 input_dim: 1"), [np.zeros(3)]),
        "cut-towards-zero": Case(
            body("num_output: 2 input_dim: 3"), [np.array([0.9, -0.5, 2.7, 1.0])]
        ),
    }
    refusals = {
        "no-num-output": (Case(body("input_dim: 2")), "num_output must be positive, got 0"),
        "no-input-dim": (Case(body("num_output: 2")), "input_dim must be positive, got 0"),
        "two-bottoms": (
            Case(body("num_output: 2 input_dim: 2"), [(2,), (2,)]),
            "takes 1 bottom, got 2",
        ),
        "in-place": (
            Case('top: "b0" ' + body("num_output: 1 input_dim: 2"), tops=0),
            "overwrites its own input",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        (x,) = bottoms
        y = np.zeros((*x.shape, param.embed_param.num_output), np.float32)
        for index in np.ndindex(x.shape):
            y[index] = blobs[0][int(x[index])]
            if param.embed_param.bias_term:
                y[index] += blobs[1]
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array | None], list[Array]]:
        grads = [np.zeros(blob.shape, np.float64) for blob in blobs]
        for index in np.ndindex(bottoms[0].shape):
            grads[0][int(bottoms[0][index])] += top_diffs[0][index]
            if len(grads) == 2:
                grads[1] += top_diffs[0][index]
        return [None], grads


@pytest.mark.parametrize("index", [-1.0, 6.0, np.nan, np.inf])
def test_refuses_indices_outside_the_table(index: float) -> None:
    net = CaffeNet(Case(body("num_output: 3 input_dim: 6"), [(2,)]).net("Embed"), "TEST")
    with pytest.raises(LayerError) as caught:
        net(torch.tensor([0.0, index]))
    assert "the table has rows 0 to 5, got" in str(caught.value)


def test_takes_integers_and_nothing() -> None:
    net = TestEmbed().build(TestEmbed.cases["two-axes"])
    x = torch.from_numpy(INDICES)
    assert torch.equal(net(x)["t0"], net(x.float())["t0"])
    assert net(torch.zeros(0, 4))["t0"].shape == (0, 4, 3)
