"""What the layers' declarations amount to in a net."""

from math import sqrt

import pytest

from torchcaffe import proto
from torchcaffe.layers._exactness import Exactness, accumulated, bitwise, ulp
from torchcaffe.net import CaffeNet
from torchcaffe.parity.classes import after, declared_classes, step_classes
from torchcaffe.proto.schema import NetParameter

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "sum" type: "Eltwise" bottom: "bn" bottom: "data" top: "sum" }
"""


@pytest.mark.parametrize(
    ("inherited", "own", "made"),
    [
        (bitwise(), bitwise(), bitwise()),
        (bitwise(), ulp(2), ulp(2)),
        (bitwise(), accumulated(8), accumulated(8)),
        (ulp(2), bitwise(), accumulated(2)),
        (accumulated(8), bitwise(), accumulated(8)),
        (accumulated(6), accumulated(8), accumulated(10)),
        (ulp(3), ulp(4), accumulated(5)),
    ],
)
def test_after(inherited: Exactness, own: Exactness, made: Exactness) -> None:
    assert after(inherited, own) == made


def test_classes_of_a_net() -> None:
    net = CaffeNet(proto.parse_text(NET, NetParameter, "net.prototxt"), "TEST")
    made = dict(zip((step.name for step in net.steps), step_classes(net), strict=True))
    assert made["data"] == bitwise()
    assert made["relu"] == made["conv"]
    size = made["conv"].size
    assert made["bn"] == accumulated(sqrt(size**2 + 8**2))
    assert made["sum"] == made["bn"]
    classes = declared_classes(net)
    assert classes.blobs["conv"] == made["relu"]
    assert classes.blobs["sum"] == made["sum"]
    assert classes.diffs["sum"] == bitwise()
    assert classes.param_diffs["conv/0"] > classes.diffs["bn"] > bitwise()


def test_classes_are_ordered() -> None:
    assert bitwise() < ulp(1) < ulp(2) < accumulated(1) < accumulated(8)
    assert str(accumulated(8)) == "accumulated(8)"
    assert str(bitwise()) == "bitwise"
