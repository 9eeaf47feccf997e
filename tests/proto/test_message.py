"""Messages: presence, defaults, checks of what is put in, copies."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from torchcaffe.proto import encode, parse_text
from torchcaffe.proto.message import MESSAGES, Message, repeated, string, uint32
from torchcaffe.proto.schema import (
    BlobProto,
    ConvolutionParameter,
    FillerParameter,
    LayerParameter,
    LRNParameter,
    NetParameter,
    PoolingParameter,
)


def test_absent_fields_read_as_their_defaults() -> None:
    layer = LayerParameter()
    assert (layer.name, layer.phase, layer.bottom) == ("", "TRAIN", [])
    assert layer.lrn_param.local_size == 5
    assert layer.convolution_param.weight_filler.type == "constant"
    assert not list(layer.present())
    assert BlobProto().data.dtype == np.float32


def test_presence() -> None:
    pooling = PoolingParameter(stride=1)
    assert pooling.has("stride") and not pooling.has("pad")
    pooling.clear("stride")
    assert not pooling.has("stride") and pooling.stride == 1
    assert not LayerParameter(bottom=[]).has("bottom")
    with pytest.raises(AttributeError, match="PoolingParameter has no field 'padd'"):
        pooling.has("padd")


def test_absent_messages_cannot_be_changed() -> None:
    layer = LayerParameter()
    with pytest.raises(TypeError, match=r"LRNParameter\.alpha: this LRNParameter is absent from"):
        layer.lrn_param.alpha = 2.0
    layer.convolution_param.pad.append(1)
    assert not layer.has("convolution_param") and layer.convolution_param.pad == []
    layer.ensure("lrn_param").alpha = 2.0
    assert layer.lrn_param.alpha == 2.0
    assert LayerParameter().lrn_param.alpha == 1.0


@pytest.mark.parametrize(
    ("message_class", "values", "error", "words"),
    [
        (PoolingParameter, {"pad": -1}, ValueError, r"PoolingParameter.pad takes uint32 \(0 to "),
        (PoolingParameter, {"pad": 1.0}, TypeError, "PoolingParameter.pad takes an integer, got"),
        (PoolingParameter, {"pad": True}, TypeError, "PoolingParameter.pad takes an integer, got"),
        (PoolingParameter, {"pool": "MX"}, ValueError, "takes one of MAX, AVE, STOCHASTIC, got"),
        (FillerParameter, {"std": "1"}, TypeError, "FillerParameter.std takes a number, got '1'"),
        (FillerParameter, {"type": b"x"}, TypeError, "FillerParameter.type takes str, got b'x'"),
        (ConvolutionParameter, {"bias_term": "no"}, TypeError, "takes true or false, got 'no'"),
        (LayerParameter, {"bottom": [1]}, TypeError, "LayerParameter.bottom takes str, got 1"),
        (LayerParameter, {"lrn_param": 1}, TypeError, "takes LRNParameter, got 1"),
        (LayerParameter, {"botom": []}, AttributeError, "LayerParameter has no field 'botom'"),
    ],
)
def test_what_is_put_in_is_checked(
    message_class: type[Message], values: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        message_class(**values)


def test_floats_are_rounded_to_float32() -> None:
    assert LRNParameter(alpha=0.1).alpha == float(np.float32(0.1))
    assert LRNParameter(alpha=1e300).alpha == np.inf


def test_a_copy_is_deep_but_for_arrays() -> None:
    net = parse_text('layer { name: "a" bottom: "x" blobs { data: 1 } }', NetParameter)
    twin = net.copy()
    assert twin == net
    twin.layer[0].bottom.append("y")
    twin.layer[0].name = "b"
    assert net.layer[0].bottom == ["x"] and net.layer[0].name == "a"
    assert twin != net
    assert twin.layer[0].blobs[0].data is net.layer[0].blobs[0].data
    assert twin.layer[0].where("name") == net.layer[0].where("name")


@pytest.fixture
def _own_messages() -> Iterator[None]:
    before = dict(MESSAGES)
    yield
    MESSAGES.clear()
    MESSAGES.update(before)


@pytest.mark.usefixtures("_own_messages")
def test_a_fork_can_add_fields() -> None:
    class ShuffleParameter(Message):
        group: int = uint32(1, default=1)

    class ForkedLayer(Message):
        name: str = string(1)

    ForkedLayer.extend("shuffle_param", repeated(200, "ShuffleParameter"))
    layer: Any = parse_text("shuffle_param { group: 3 }", ForkedLayer)
    assert layer.shuffle_param[0].group == 3
    assert encode(layer) == b"\xc2\x0c\x02\x08\x03"
    with pytest.raises(ValueError, match="ForkedLayer has a field 'name' already"):
        ForkedLayer.extend("name", uint32(9))
    with pytest.raises(ValueError, match="ForkedLayer field 200 is 'shuffle_param' already"):
        ForkedLayer.extend("other", uint32(200))
    with pytest.raises(TypeError, match="a message named NetParameter exists already"):
        type("NetParameter", (Message,), {})


def test_repr_is_short() -> None:
    blob = BlobProto(num=1, data=np.zeros(1000))
    assert repr(NetParameter(name="n", layer=[LayerParameter(blobs=[blob])])) == (
        "NetParameter(name='n', layer=[LayerParameter(blobs=[BlobProto(num=1, "
        "data=<1000 numbers>)])])"
    )
