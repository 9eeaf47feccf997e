"""Networks from every kind of file, and files that hold none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from narrow import SIZE, narrow_param, narrow_prototxt, narrow_weights
from safetensors.torch import save_file

import torchcaffe
from goturn import Network
from goturn.errors import ModelError
from torchcaffe.proto import format_text, parse_text, read_weights_net, write_wire
from torchcaffe.proto.schema import NetParameter

CROPS = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 50


def answers(network: Network) -> np.ndarray:
    return network(CROPS, CROPS.flip(0)).numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrow")
    narrow_weights(folder)
    narrow_prototxt(folder)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray:
    """What the training net answers in phase TEST, at the layer that answers."""
    net = torchcaffe.load(folder / "narrow.prototxt", folder / "narrow.caffemodel")
    inputs = {"target": CROPS, "image": CROPS.flip(0), "bbox": torch.zeros(2, 4, 1, 1)}
    with torch.no_grad():
        return net.blobs(until="fc8-shapes", **inputs)["fc8"].numpy()


def test_a_caffemodel_tells_its_own_net(folder: Path, expected: np.ndarray) -> None:
    network = Network.load(folder / "narrow.caffemodel", precision="exact")
    assert network.size == SIZE
    np.testing.assert_array_equal(answers(network), expected)


def test_a_caffemodel_with_its_prototxt(folder: Path, expected: np.ndarray) -> None:
    model = folder / "narrow.prototxt"
    network = Network.load(folder / "narrow.caffemodel", model, precision="exact")
    np.testing.assert_array_equal(answers(network), expected)


def test_our_safetensors_tell_it_too(folder: Path, tmp_path: Path, expected: np.ndarray) -> None:
    Network.load(folder / "narrow.caffemodel").save(tmp_path / "narrow.safetensors")
    again = Network.load(tmp_path / "narrow.safetensors", precision="exact")
    np.testing.assert_array_equal(answers(again), expected)


def test_the_fast_network_is_near(folder: Path, expected: np.ndarray) -> None:
    """As near as ``CaffeNet.optimize`` promises."""
    network = Network.load(folder / "narrow.caffemodel")
    assert np.abs(answers(network) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_bf16_is_near(folder: Path, expected: np.ndarray) -> None:
    network = Network.load(folder / "narrow.caffemodel", precision="bf16")
    assert np.abs(answers(network) - expected).max() < 0.05 * np.abs(expected).max()


def test_another_precision_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match='precision takes float32, bf16, exact, got "int8"'):
        Network.load(folder / "narrow.caffemodel", precision="int8")


def test_a_model_of_another_net_says_what_is_missing(tmp_path: Path) -> None:
    text = """name: "other" layer { name: "data" type: "Input" top: "data" }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" }"""
    path = tmp_path / "other.caffemodel"
    write_wire(path, parse_text(text, NetParameter))
    wanted = "other.caffemodel is no GOTURN, or not all of one: missing are the layers conv2, .*"
    with pytest.raises(ModelError, match=wanted + "fc6-new, fc7-new, fc7-newb, fc8-shapes"):
        Network.load(path)


def test_weights_that_lack_a_tower_say_so(folder: Path, tmp_path: Path) -> None:
    param = read_weights_net(folder / "narrow.caffemodel")
    for layer in param.layer:
        if layer.name.endswith("_p"):
            layer.blobs = []
    write_wire(tmp_path / "half.caffemodel", param)
    wanted = "missing are the layers conv1_p, conv2_p, conv3_p, conv4_p, conv5_p$"
    with pytest.raises(ModelError, match=wanted):
        Network.load(tmp_path / "half.caffemodel")


def test_safetensors_of_something_else_say_so(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"other\.safetensors is no GOTURN.*conv1, conv2"):
        Network.load(tmp_path / "other.safetensors")


def test_a_file_that_is_no_safetensors_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(ModelError, match=r"text\.safetensors cannot be read as safetensors"):
        Network.load(tmp_path / "text.safetensors")


def test_an_answer_that_needs_no_target_is_refused(folder: Path, tmp_path: Path) -> None:
    param = narrow_param()
    for layer in param.layer:
        if layer.name == "concat":
            layer.bottom = ["pool5_p", "pool5_p"]
    (tmp_path / "net.prototxt").write_text(format_text(param))
    with pytest.raises(ModelError, match='"fc8-shapes" does not follow from the inputs target and'):
        Network.load(folder / "narrow.caffemodel", tmp_path / "net.prototxt")


def test_inputs_that_are_not_alike_are_refused(folder: Path, tmp_path: Path) -> None:
    param = narrow_param()
    param.layer[0].input_param.shape[0].dim = [1, 3, SIZE, SIZE + 1]
    (tmp_path / "net.prototxt").write_text(format_text(param))
    with pytest.raises(ModelError, match="two square images of 3 channels were expected"):
        Network.load(folder / "narrow.caffemodel", tmp_path / "net.prototxt")
