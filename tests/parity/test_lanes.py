"""Layers side by side in several lanes: exact answers, sensitivities, random streams."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from torchcaffe import proto
from torchcaffe.build import Step
from torchcaffe.net import CaffeNet
from torchcaffe.parity.lanes import Question, Visit, walk
from torchcaffe.proto.schema import NetParameter

Array = np.ndarray[Any, np.dtype[Any]]
INPUT = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 4 dim: 9 dim: 9 } } }\n"
)
DATA = np.random.default_rng(1701).standard_normal((2, 4, 9, 9)).astype(np.float32)


def build(layers: str, phase: str = "TEST") -> CaffeNet:
    return CaffeNet(proto.parse_text(INPUT + layers, NetParameter, "net"), phase, seed=1701)


def visits(net: CaffeNet, backward: bool = False) -> dict[str, Visit]:
    """Walk a net, every layer asked about what the net itself made."""
    with torch.no_grad():
        data = torch.from_numpy(DATA).to(next(net.parameters(), torch.zeros(())))
        blobs = copy.deepcopy(net).run({"data": data}).blobs

    def ask(_: int, step: Step) -> Question:
        bottoms = [blobs[name] for name in step.bottoms]
        diffs = [torch.full(shape, 0.5) for shape in step.top_shapes] if backward else None
        return Question(bottoms, diffs, True)

    return {visit.step.name: visit for visit in walk(net, {"data": DATA}, 1701, ask)}


CONV = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 3 group: 2 weight_filler { type: "msra" }
  bias_filler { type: "constant" value: 0.5 } } }
"""


def test_the_sensitivity_of_a_convolution_is_that_of_its_products() -> None:
    net = build(CONV)
    found = visits(net)["conv"].local.sensitivity("top/0")
    assert found is not None
    x, (w, b) = torch.from_numpy(DATA).double(), [each.double() for each in net.params["conv"]]
    exact = torch.conv2d(x, w, b, groups=2)
    squares = torch.conv2d(x.square(), w.square(), b.square(), groups=2)
    assert np.allclose(found.value, exact.detach().numpy(), rtol=1e-12)
    expected = (2 * squares + exact.square()).sqrt().detach().numpy()
    assert np.allclose(found.scale, expected, rtol=1e-5)


def test_moved_lanes_find_nearly_the_same() -> None:
    visit = visits(build(CONV))["conv"]
    exact, estimated = visit.local.sensitivity("top/0"), visit.chained.sensitivity("top/0")
    assert exact is not None
    assert estimated is not None
    ratio = estimated.scale / exact.scale
    assert ratio.min() > 0.4
    assert ratio.max() < 2


def test_the_sensitivities_of_gradients_are_found_as_well() -> None:
    net = build("force_backward: true\n" + CONV)
    visit = visits(net, backward=True)["conv"]
    found = visit.local.sensitivity("pdiff/1")
    assert found is not None
    count = 2 * 7 * 7
    assert np.allclose(found.value, count * 0.5)
    assert np.allclose(found.scale, np.sqrt(2 * count * 0.25 + (count * 0.5) ** 2), rtol=1e-5)
    assert {"diff/0", "pdiff/0", "pdiff/1"} <= set(visit.local.own)


def test_the_own_lane_is_the_net_itself() -> None:
    net = build(CONV + 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }')
    with torch.no_grad():
        expected = net.run({"data": DATA}).blobs["conv"]
    assert torch.equal(visits(net)["relu"].chained.own["top/0"], expected)


DROP = """
layer { name: "a" type: "Dropout" bottom: "data" top: "a" }
layer { name: "b" type: "Dropout" bottom: "a" top: "b" }
"""


def test_every_lane_draws_the_same_numbers_and_the_next_layer_the_next() -> None:
    net = build(DROP, "TRAIN")
    net.seed(1701)
    state = net.stream.state.copy()
    found = visits(net)
    masks = [answers["top/0"] != 0 for answers in found["a"].chained.moved]
    masks += [found["a"].chained.exact["top/0"] != 0, found["a"].local.own["top/0"] != 0]
    own = found["a"].chained.own["top/0"] != 0
    assert all(torch.equal(mask, own) for mask in masks)
    assert np.array_equal(net.stream.state, state)
    with torch.no_grad():
        expected = net.run({"data": DATA}).blobs["b"]
    assert torch.equal(found["b"].chained.own["top/0"], expected)


BN = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }'


def test_statistics_are_answers_too_and_the_net_keeps_its_own() -> None:
    net = build(BN, "TRAIN")
    before = [value.clone() for value in net.params["bn"]]
    found = visits(net)["bn"]
    assert found.chained.own["statistic/2"] == 1
    assert torch.equal(found.chained.own["statistic/0"], found.local.own["statistic/0"])
    assert all(torch.equal(value, old) for value, old in zip(net.params["bn"], before, strict=True))


SHARED = """
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
  param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 4 weight_filler { type: "msra" } } }
layer { name: "r" type: "Reshape" bottom: "data" top: "r"
  reshape_param { shape { dim: 0 dim: 324 } } }
layer { name: "c" type: "InnerProduct" bottom: "r" top: "c"
  param { name: "w" share_mode: PERMISSIVE } param { name: "b" }
  inner_product_param { num_output: 4 } }
"""


def test_parameters_that_layers_share() -> None:
    net = build(SHARED)
    found = visits(net)
    assert torch.equal(found["a"].chained.own["top/0"], found["c"].chained.own["top/0"])
    assert torch.allclose(found["a"].chained.exact["top/0"], found["c"].chained.exact["top/0"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_net_of_another_type_runs_in_its_own(dtype: torch.dtype) -> None:
    assert visits(build(CONV).to(dtype))["conv"].local.own["top/0"].dtype == dtype


def test_what_a_relu_cuts_off_still_moves() -> None:
    """A rounding below may carry an element over zero, so its bottom's sensitivity holds."""
    relu = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" }'
    found = visits(build(CONV + relu))
    above = found["relu"].chained.sensitivity("top/0")
    below = found["conv"].chained.sensitivity("top/0")
    assert above is not None
    assert below is not None
    cut = above.value == 0
    assert cut.any()
    assert (above.scale[cut] >= below.scale[cut]).all()
