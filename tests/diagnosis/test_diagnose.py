"""One mistake at a time in a small port is named; several at once are; a right port passes."""

from functools import cache

import pytest
import torch

import torchcaffe
from diagnosis.small import ALEX, RES, Alex, Res, build
from torchcaffe.net import CaffeNet

ALEX_BUGS = [
    "conv-padding", "conv-flip", "conv-bias", "weight-not-loaded", "weight-reshape",
    "channel-order", "mean-subtraction", "input-scale", "relu-missing", "lrn-order",
    "pool-rounding", "lrn-alpha", "lrn-missing", "relu-slope", "pool-kind", "flatten-order",
    "dropout-active", "softmax-axis", "softmax-twice",
    "conv-padding relu-missing lrn-alpha", "flatten-order dropout-active softmax-twice",
    "channel-order mean-subtraction input-scale", "pool-rounding lrn-missing relu-missing",
    "conv-flip conv-padding relu-missing",
]  # fmt: skip
RES_BUGS = [
    "batchnorm-scale-factor", "batchnorm-eps", "batchnorm-train-mode", "scale-bias-missing",
    "batchnorm-affine-missing", "pool-rounding", "stride-position", "eltwise-coeff",
    "weight-swapped", "fc-bias", "relu-missing",
    "batchnorm-scale-factor eltwise-coeff fc-bias", "batchnorm-eps relu-missing pool-rounding",
]  # fmt: skip


@cache
def net_of(text: str) -> CaffeNet:
    return build(text)


@pytest.mark.parametrize("bugs", ["", *ALEX_BUGS])
def test_a_plain_net(bugs: str) -> None:
    net = net_of(ALEX)
    found = torchcaffe.diagnose(Alex(net, *bugs.split()), net)
    assert set(found.identifiers) == set(bugs.split()), found.verdict
    assert not found.unexplained
    assert found.passed is not bool(bugs)


@pytest.mark.parametrize("bugs", ["", *RES_BUGS])
def test_a_residual_net(bugs: str) -> None:
    net = net_of(RES)
    found = torchcaffe.diagnose(Res(net, *bugs.split()), net)
    assert set(found.identifiers) == set(bugs.split()), found.verdict
    assert not found.unexplained
    assert found.passed is not bool(bugs)


def test_a_cause_has_its_proof_its_place_and_its_words() -> None:
    net = net_of(ALEX)
    (cause,) = torchcaffe.diagnose(Alex(net, "lrn-alpha"), net).causes
    assert cause.layers == ("norm1",)
    assert cause.port.file.endswith("small.py")
    assert "local_response_norm" in cause.port.call
    assert cause.before is not None and not cause.before.passed
    assert cause.after is not None and cause.after.passed
    assert cause.evidence["port"] == pytest.approx(25e-4)
    assert "Caffe divides alpha = 0.0005 by the 5 elements" in cause.words


def test_the_module_is_left_as_found() -> None:
    net = net_of(RES)
    port = Res(net, "batchnorm-train-mode")
    before = {name: value.clone() for name, value in port.state_dict().items()}
    modes = [module.training for module in port.modules()]
    torch.manual_seed(3)
    wanted = torch.rand(())
    torch.manual_seed(3)
    torchcaffe.diagnose(port, net)
    assert torch.equal(torch.rand(()), wanted)
    assert all(torch.equal(value, before[name]) for name, value in port.state_dict().items())
    assert [module.training for module in port.modules()] == modes
