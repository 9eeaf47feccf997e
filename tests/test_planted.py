"""The planted ports themselves: a bug changes the answer, a right port's is Caffe's."""

from functools import cache

import pytest
import torch

from planted.nets import reference
from planted.suite import RIGHT, SEVERAL, SINGLE, Case
from torchcaffe.net import CaffeNet


@cache
def net_of(architecture: str) -> CaffeNet:
    return reference(architecture)


def distance(case: Case) -> float:
    """How far the port is from the net, of the answer's largest number."""
    net = net_of(case.architecture)
    generator = torch.Generator().manual_seed(1701)
    inputs = {name: torch.randn(shape, generator=generator) for name, shape in net.inputs.items()}
    with torch.no_grad():
        (wanted,) = net(**inputs).values()
        given = case.build(net)(*inputs.values())
    assert given.shape == wanted.shape
    return float((given - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("case", [*SINGLE, *SEVERAL], ids=str)
def test_a_bug_shows(case: Case) -> None:
    assert distance(case) > 2e-5


@pytest.mark.parametrize("case", RIGHT, ids=str)
def test_a_right_port_is_right(case: Case) -> None:
    assert distance(case) < 2e-6


def test_every_bug_is_planted_twice() -> None:
    bugs = [bug for case in SINGLE for bug in case.bugs]
    assert all(bugs.count(bug) >= 2 for bug in bugs)
