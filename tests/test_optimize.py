"""Optimized nets: every form of a layer that is fused or packed, beside the exact net."""

import pytest
import torch

import torchcaffe
from torchcaffe.proto import NetParameter, parse_text

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 dim: 5 } } }'
RELU = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }'
X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))


def product(options: str) -> str:
    filler = 'weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 }'
    return (
        f'layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "y" '
        f"inner_product_param {{ num_output: 6 {filler} {options} }} }}"
    )


def build(text: str) -> torchcaffe.CaffeNet:
    return torchcaffe.load(parse_text(INPUT + text, NetParameter), seed=1)


@pytest.mark.parametrize(
    "options", ["", "transpose: true", "axis: 2", "axis: -1 bias_term: false", "axis: 0"]
)
@pytest.mark.parametrize("after", ["", RELU])
def test_inner_products(options: str, after: str) -> None:
    net = build(product(options) + after)
    fast = net.optimize()
    assert len(fast.nodes) == 1
    expected = net(X)["y"]
    assert fast(X)["y"].shape == expected.shape
    torch.testing.assert_close(fast(X)["y"], expected)


def test_an_inner_product_takes_other_batches() -> None:
    net = build(product(""))
    fast = net.optimize()
    for rows in (1, 2, 40):
        x = torch.randn(rows, 4, 5, generator=torch.Generator().manual_seed(rows))
        torch.testing.assert_close(fast(x)["y"], net(x)["y"])


def test_a_relu_is_not_fused_where_the_value_before_it_is_read() -> None:
    text = product("") + RELU.replace('top: "y"', 'top: "z"')
    net = build(text)
    assert set(net.optimize()(X)) == {"z"}
    torch.testing.assert_close(net.optimize()(X)["z"], net(X)["z"])
    leaky = RELU.removesuffix("}") + "relu_param { negative_slope: 0.1 } }"
    net = build(product("") + leaky)
    assert len(net.optimize().nodes) == 2
    torch.testing.assert_close(net.optimize()(X)["y"], net(X)["y"])


def test_its_weights_are_copies() -> None:
    net = build(product(""))
    fast = net.optimize()
    before = fast(X)["y"].clone()
    net.params["ip"][0].data.zero_()
    torch.testing.assert_close(fast(X)["y"], before, rtol=0, atol=0)


def test_bfloat16_is_near_and_answers_float32() -> None:
    net = build(product("") + RELU)
    fast = net.optimize(torch.bfloat16)
    assert fast(X)["y"].dtype == torch.float32
    assert 1e-4 < fast.difference < 0.02


@pytest.mark.parametrize(
    "options",
    [
        "local_size: 5 alpha: 0.1 beta: 0.75 k: 2",
        "local_size: 1",
        "local_size: 9 alpha: 2 beta: 1.5",
        "local_size: 3 norm_region: WITHIN_CHANNEL",
    ],
)
def test_lrn(options: str) -> None:
    text = INPUT.replace("dim: 5", "dim: 5 dim: 6")
    text += f'layer {{ name: "n" type: "LRN" bottom: "x" top: "y" lrn_param {{ {options} }} }}'
    net = torchcaffe.load(parse_text(text, NetParameter))
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net.optimize()(x)["y"], net(x)["y"])


def test_a_processor_without_onednn_or_its_bfloat16_computes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torchcaffe.optimize._has_onednn", lambda weight: False)
    net = build(product("") + RELU)
    assert not any(node.run.packed for node in net.optimize().nodes)
    torch.testing.assert_close(net.optimize()(X)["y"], net(X)["y"])
    assert net.optimize(torch.bfloat16).difference < 0.02
