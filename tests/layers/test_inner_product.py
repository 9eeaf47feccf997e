from typing import Any

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


def body(options: str) -> str:
    return f"inner_product_param {{ {options} }}"


class TestInnerProduct(LayerContract):
    caffe_type = "InnerProduct"
    cases = {
        "four-axes": Case(body("num_output: 6")),
        "two-axes": Case(body("num_output: 3"), [(4, 7)]),
        "one-axis": Case(body("num_output: 3 axis: 0"), [(7,)]),
        "whole-bottom": Case(body("num_output: 3 axis: 0"), [(2, 3, 2)]),
        "axis-2": Case(body("num_output: 5 axis: 2")),
        "last-axis": Case(body("num_output: 5 axis: -1")),
        "no-bias": Case(body("num_output: 5 bias_term: false")),
        "no-bias-two-axes": Case(body("num_output: 5 bias_term: false"), [(4, 7)]),
        "transpose": Case(body("num_output: 5 transpose: true")),
        "transpose-two-axes": Case(body("num_output: 5 transpose: true"), [(4, 7)]),
        "transpose-no-bias": Case(body("num_output: 5 transpose: true bias_term: false axis: 2")),
        "one-output": Case(body("num_output: 1"), [(1, 1)]),
        "long-row": Case(body("num_output: 2"), [(2, 16, 12, 12)]),
        "not-finite": Case(
            body("num_output: 2"),
            [np.array([[1.0, np.inf], [np.nan, 1.0], [-np.inf, np.inf], [2.0, 3.0]])],
            gradcheck=False,
        ),
    }
    refusals = {
        "no-num-output": (Case(body("")), "num_output must be positive, got 0"),
        "axis": (
            Case(body("num_output: 2 axis: 4")),
            "axis 4 is out of range for a bottom with 4 axes 2x3x4x5",
        ),
        "nothing": (Case(body("num_output: 2"), [(2, 0)]), "its bottom has no features"),
        "two-bottoms": (Case(body("num_output: 2"), [(2,), (2,)]), "takes 1 bottom, got 2"),
        "in-place": (
            Case('top: "b0" ' + body("num_output: 60"), tops=0),
            "overwrites its own input",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.inner_product_param
        (x,) = bottoms
        axis = p.axis + x.ndim if p.axis < 0 else p.axis
        rows = [x[index].ravel() for index in np.ndindex(x.shape[:axis])]
        y = np.zeros((len(rows), p.num_output))
        for m, row in enumerate(rows):
            for n in range(p.num_output):
                for k, value in enumerate(row):
                    y[m, n] += value * (blobs[0][k, n] if p.transpose else blobs[0][n, k])
                if p.bias_term:
                    y[m, n] += blobs[1][n]
        return [y.reshape(*x.shape[:axis], p.num_output)]


@pytest.mark.parametrize("name", TestInnerProduct.cases)
def test_plain_torch_gives_the_same_bits(name: str) -> None:
    case = TestInnerProduct.cases[name]
    net = TestInnerProduct().build(case)
    step = net.steps[-1]
    if step.plan.plain is None:
        assert "transpose" in name or step.plan.call.target == "torch.nn.Linear"
        return
    x = torch.from_numpy(case.arrays()["b0"])
    plain: Any = step.plan.plain.build()
    plain.load_state_dict(step.plan.plain_state(net.params["layer"]))
    assert torch.equal(plain(x), net(x)["t0"])


def test_counts_multiply_adds() -> None:
    net = CaffeNet(Case(body("num_output: 6")).net("InnerProduct"), "TEST")
    assert net.steps[-1].plan.multiply_adds == 2 * 6 * 60


def test_takes_another_batch_and_refuses_other_features() -> None:
    net = TestInnerProduct().build(Case(body("num_output: 6")))
    assert net(torch.zeros(5, 3, 4, 5))["t0"].shape == (5, 6)
    with pytest.raises(LayerError) as caught:
        net(torch.zeros(2, 3, 4, 6))
    assert "built for bottoms of 2x3x4x5, and cannot be computed for 2x3x4x6" in str(caught.value)
