"""The net as an ``nn.Module``: inputs, blobs, parameters, sharing, losses, torch's own tools."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import torchcaffe
from torchcaffe import proto
from torchcaffe.errors import InputError, LayerError, NetError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter

INPUT = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n"
)
XAVIER = 'weight_filler { type: "xavier" }'
CONV = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    f"convolution_param {{ num_output: 4 kernel_size: 3 {XAVIER} }} }}\n"
)
RELU = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
FC = (
    'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" '
    f"inner_product_param {{ num_output: 5 {XAVIER} }} }}\n"
)


def build(text: str, phase: str = "TEST", **options: object) -> CaffeNet:
    net = proto.parse_text(text, NetParameter, "net.prototxt")
    return torchcaffe.load(net, phase=phase, seed=1, **options)  # type: ignore[arg-type]


@pytest.fixture
def net() -> CaffeNet:
    return build(INPUT + CONV + RELU + FC)


X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_one_input_may_be_given_alone_or_by_name(net: CaffeNet) -> None:
    first, second = net(X), net(data=X.numpy())
    assert list(first) == ["fc"]
    assert torch.equal(first["fc"], second["fc"])


def test_every_blob_has_caffes_name_and_until_stops(net: CaffeNet) -> None:
    assert list(net.blobs(X)) == ["data", "conv", "fc"]
    assert bool((net.blobs(X)["conv"] >= 0).all())
    until = net.blobs(X, until="conv")
    assert list(until) == ["data", "conv"]
    assert bool((until["conv"] < 0).any()), "before the ReLU that works in place"


def test_parameters_by_layer_and_readable_state_keys(net: CaffeNet) -> None:
    assert [tuple(blob.shape) for blob in net.params["conv"]] == [(4, 3, 3, 3), (4,)]
    assert list(net.state_dict()) == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]


def test_other_batch_and_image_sizes_run_where_caffe_reshapes(net: CaffeNet) -> None:
    assert net(X[:1])["fc"].shape == (1, 5)
    wider = build(INPUT + CONV + RELU)
    assert wider(torch.zeros(3, 3, 11, 9))["conv"].shape == (3, 4, 9, 7)
    assert build(INPUT + CONV + FC, inputs={"data": (1, 3, 5, 5)}).inputs == {"data": (1, 3, 5, 5)}


def test_a_size_that_cannot_be_is_refused_by_layer(net: CaffeNet) -> None:
    with pytest.raises(LayerError) as caught:
        net(torch.zeros(1, 3, 9, 9))
    assert 'layer "fc" (InnerProduct): was built for bottoms of 2x4x6x6' in str(caught.value)
    assert "1x4x7x7" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda net: net(), 'input "data" is missing; the net takes data (2x3x8x8)'),
        (lambda net: net(X, X), "a net with 1 inputs takes them by name: data=..."),
        (lambda net: net(dada=X), "the net's inputs are data; got dada"),
        (lambda net: net(data="x"), 'input "data" takes a tensor or an array, got str'),
        (lambda net: net.blobs(X, until="fc8"), 'the net has no layer "fc8"'),
    ],
)
def test_wrong_calls_are_refused(net: CaffeNet, call: object, words: str) -> None:
    with pytest.raises(InputError) as caught:
        call(net)  # type: ignore[operator]
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phase": "test"}, 'phase takes "TRAIN" or "TEST", got "test"'),
        ({"rng": "numpy"}, 'rng takes "caffe" or "torch", got "numpy"'),
        ({"inputs": {"dada": (1,)}}, 'shape given for "dada", but the net\'s inputs are "data"'),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        build(INPUT + CONV, **options)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_data_layers_give_way_to_inputs() -> None:
    text = CONV + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" }'
    text = 'layer { name: "d" type: "Data" top: "data" top: "label" }' + text
    with pytest.raises(LayerError, match=r"reads its data from a source"):
        build(text)
    with pytest.raises(LayerError, match='give the net "label" as inputs instead'):
        build(text, inputs={"data": (2, 3, 8, 8)})
    net = build(text, inputs={"data": (2, 3, 8, 8), "label": (2, 6, 6)})
    assert list(net.inputs) == ["data", "label"]


def test_awkward_layer_names_are_kept() -> None:
    names = ["type", "forward", "a.b", "a_b", "params", "1x1/reduce", ""]
    text, bottom = INPUT, "data"
    for index, name in enumerate(names):
        text += (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "t{index}" '
            f"convolution_param {{ num_output: 2 kernel_size: 1 {XAVIER} }} }}\n"
        )
        bottom = f"t{index}"
    net = build(text)
    assert list(net.params) == names
    assert net(X)["t6"].shape == (2, 2, 8, 8)
    other = build(text)
    other.load_state_dict(net.state_dict())


def test_copies_are_independent_and_equal(net: CaffeNet) -> None:
    twin = copy.deepcopy(net)
    assert torch.equal(twin(X)["fc"], net(X)["fc"])
    with torch.no_grad():
        twin.params["conv"][0].zero_()
    assert not torch.equal(twin(X)["fc"], net(X)["fc"])


def test_double_precision(net: CaffeNet) -> None:
    y = net(X)["fc"]
    exact = net.double()(X.double())["fc"]
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), y)


def test_compile_and_export(net: CaffeNet) -> None:
    expected = net(X)["fc"]
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(X)["fc"], expected)
    exported = torch.export.export(net, (X,))
    assert torch.equal(exported.module()(X)["fc"], expected)


def test_the_phase_does_not_follow_train_and_eval() -> None:
    text = INPUT + 'layer { name: "drop" type: "Dropout" bottom: "data" top: "y" }'
    assert torch.equal(build(text, "TEST").train()(X)["y"], X)
    assert not torch.equal(build(text, "TRAIN").eval()(X)["y"], X)


def test_the_seed_restarts_the_masks() -> None:
    net = build(INPUT + 'layer { name: "drop" type: "Dropout" bottom: "data" top: "y" }', "TRAIN")
    net.seed(7)
    first, second = net(X)["y"], net(X)["y"]
    net.seed(7)
    assert torch.equal(net(X)["y"], first)
    assert not torch.equal(first, second)


SHARED = (
    'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 4 } } }\n'
    + "".join(
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "y{bottom}" '
        f'param {{ name: "w" {spec} }} param {{ name: "b" }} '
        f"inner_product_param {{ num_output: {outputs} {XAVIER} }} }}\n"
        for name, bottom, outputs, spec in (
            ("one", "a", 3, "lr_mult: 2"),
            ("two", "b", 3, "%s"),
        )
    )
)


def test_shared_parameters_are_one_tensor() -> None:
    net = build(SHARED % "")
    assert net.params["one"][0] is net.params["two"][0]
    assert [(entry.layer, entry.index) for entry in net.learnable] == [("one", 0), ("one", 1)]
    assert [entry.lr_mult for entry in net.learnable] == [2.0, 1.0]
    twin = copy.deepcopy(net).double()
    assert twin.params["one"][0] is twin.params["two"][0]


def test_sharers_may_not_contradict_each_other() -> None:
    with pytest.raises(NetError, match="give different lr_mult: 2, 3"):
        _ = build(SHARED % "lr_mult: 3").learnable


def test_shared_shapes_must_be_equal_unless_permissive() -> None:
    other = (SHARED % "").replace("num_output: 3", "num_output: 4", 1)
    with pytest.raises(NetError) as caught:
        build(other)
    assert (
        'layer "two" (InnerProduct): shares parameter "w" with layer "one", but its blob 0 is 3x4 '
        "and the owner's is 4x4" in str(caught.value)
    )


def test_permissive_sharers_see_the_owner_through_their_own_shape() -> None:
    text = (
        'layer { name: "in" type: "Input" top: "a" input_param { shape { dim: 1 dim: 6 } } }'
        'layer { name: "one" type: "InnerProduct" bottom: "a" top: "y" param { name: "w" } '
        f"inner_product_param {{ num_output: 2 bias_term: false {XAVIER} }} }}"
        'layer { name: "two" type: "InnerProduct" bottom: "y" top: "z" '
        'param { name: "w" share_mode: PERMISSIVE } '
        f"inner_product_param {{ num_output: 6 bias_term: false {XAVIER} }} }}"
    )
    net = build(text)
    x = torch.arange(6.0)[None]
    weight = net.params["one"][0].detach()
    expected = x @ weight.T @ weight.reshape(6, 2).T
    torch.testing.assert_close(net(x)["z"], expected)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.params["one"][0].zero_()
    assert not twin(x)["z"].any()


def test_frozen_layers_take_no_gradient() -> None:
    frozen = CONV.replace("top:", "param { lr_mult: 0 } param { lr_mult: 0 } top:", 1)
    net = build(INPUT + frozen + FC)
    assert [blob.requires_grad for blob in net.params["conv"]] == [False, False]
    assert all(
        blob.requires_grad
        for blob in build("force_backward: true " + INPUT + frozen + FC).params["conv"]
    )


def test_propagate_down_false_stops_the_gradient() -> None:
    stopped = FC.replace("bottom:", "propagate_down: false bottom:", 1)
    net = build(INPUT + CONV + stopped)
    net(X)["fc"].sum().backward()
    assert net.params["conv"][0].grad is None
    assert net.params["fc"][0].grad is not None


REDUCE = (
    'layer {{ name: "r" type: "Reduction" bottom: "fc" top: "r" {} '
    "reduction_param {{ operation: MEAN }} }}\n"
)


def test_loss_weights_add_up_in_order() -> None:
    net = build(INPUT + CONV + FC + REDUCE.format("loss_weight: 0.5"))
    run = net.run({"data": X})
    assert torch.equal(run.loss, run.blobs["r"] * 0.5)
    assert not run.loss.isnan() and run.loss.dtype == torch.float32


def test_a_weight_on_a_map_counts_every_element() -> None:
    net = build(INPUT + CONV.replace("top:", "loss_weight: 2 top:", 1))
    run = net.run({"data": X})
    torch.testing.assert_close(run.loss, 2 * run.blobs["conv"].sum())


def test_a_net_without_any_loss_is_still_differentiable(net: CaffeNet) -> None:
    x = X.clone().requires_grad_()
    net(x)["fc"].sum().backward()
    assert x.grad is not None and bool(x.grad.any())


def test_an_image_with_nan_flows(net: CaffeNet) -> None:
    x = X.clone()
    x[0, 0, 0, 0] = math.nan
    assert net(x)["fc"][0].isnan().all() and not net(x)["fc"][1].isnan().any()


def test_optimized_nets_are_close_and_refuse_training(net: CaffeNet) -> None:
    fast = net.optimize()
    assert fast.difference < 1e-6
    torch.testing.assert_close(fast(X)["fc"], net(X)["fc"])
    torch.testing.assert_close(fast(data=X[:1])["fc"], net(X[:1])["fc"])
    with pytest.raises(InputError, match="only a net in phase TEST can be optimized"):
        build(INPUT + CONV, "TRAIN").optimize()


def test_inputs_from_numpy_need_not_be_contiguous_or_float(net: CaffeNet) -> None:
    image = np.zeros((2, 8, 8, 3), np.uint8).transpose(0, 3, 1, 2)
    assert net(image)["fc"].dtype == torch.float32


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(torchcaffe.CaffeError, match=r"none\.prototxt does not exist"):
        torchcaffe.load(tmp_path / "none.prototxt")
