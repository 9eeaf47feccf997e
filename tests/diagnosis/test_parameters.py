"""A port's tensors find Caffe's blobs by their values, in whatever layout, then by shape."""

from pathlib import Path

import pytest
import torch
from torch import nn

import torchcaffe
from torchcaffe.diagnosis import align_parameters
from torchcaffe.diagnosis.relations import relate
from torchcaffe.net import CaffeNet

NETS = Path(__file__).parent.parent / "nets"


@pytest.fixture
def net() -> CaffeNet:
    return torchcaffe.load(NETS / "lenet.prototxt", seed=1, inputs={"data": (2, 1, 28, 28)})


class Port(nn.Module):
    """Declared in another order than it runs, with one layer renamed."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(500, 10)
        self.hidden = nn.Linear(800, 500)
        self.a, self.b = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)


def copied(net: CaffeNet) -> Port:
    port = Port()
    with torch.no_grad():
        for mine, layer in ((port.a, "conv1"), (port.b, "conv2"), (port.hidden, "ip1"),
                            (port.out, "ip2")):  # fmt: skip
            weight, bias = net.params[layer]
            mine.weight.copy_(weight)
            mine.bias.copy_(bias)
    return port


def test_values_decide_whatever_the_names_and_the_order(net: CaffeNet) -> None:
    found = align_parameters(copied(net), net)
    assert {(pair.name, pair.layer, pair.index) for pair in found.pairs} == {
        ("a.weight", "conv1", 0), ("a.bias", "conv1", 1),
        ("b.weight", "conv2", 0), ("b.bias", "conv2", 1),
        ("hidden.weight", "ip1", 0), ("hidden.bias", "ip1", 1),
        ("out.weight", "ip2", 0), ("out.bias", "ip2", 1),
    }  # fmt: skip
    assert {pair.relation.name for pair in found.pairs} == {"equal"}
    assert not found.port_only and not found.caffe_only


def test_without_the_values_shape_and_order_decide(net: CaffeNet) -> None:
    port = copied(net)
    with torch.no_grad():
        port.b.weight.normal_()
    pair = align_parameters(port, net).at("conv2", 0)
    assert pair is not None
    assert (pair.name, pair.relation.name) == ("b.weight", "shape")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("equal", lambda w: w),
        ("view", lambda w: w.reshape(6, -1)),
        ("flipped", lambda w: w.flip(2, 3)),
        ("channels reversed", lambda w: w.flip(1)),
        ("transposed", lambda w: w.permute(0, 1, 3, 2)),
        ("permuted", lambda w: w.permute(2, 3, 1, 0)),
        ("reshaped", lambda w: w.permute(2, 3, 1, 0).reshape(6, 4, 3, 3)),
        ("reshaped", lambda w: w.reshape(3, 3, 4, 6).permute(3, 2, 0, 1)),
        ("scaled", lambda w: w * torch.arange(1.0, 7)[:, None, None, None]),
        ("shape", lambda w: torch.randn(6, 4, 3, 3)),
    ],
)
def test_relations(name: str, change: object) -> None:
    weight = torch.randn(6, 4, 3, 3)
    port = change(weight)  # type: ignore[operator]
    found = relate(port, weight)
    assert found is not None
    assert found.name == name
    assert found.change(weight).shape == port.shape
    if found.same:
        assert torch.equal(found.change(weight), port)
