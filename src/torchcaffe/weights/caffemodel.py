"""``.caffemodel``: a NetParameter with blobs."""

from __future__ import annotations

from pathlib import Path

from torchcaffe import proto
from torchcaffe.net import CaffeNet
from torchcaffe.proto.blobs import blob_array, is_legacy, make_blob
from torchcaffe.proto.schema import NetParameter, ParamSpec
from torchcaffe.weights.model import SourceLayer, Weights


def read_caffemodel(path: Path) -> Weights:
    """The blobs as views of the mapped file."""
    net = proto.read_weights_net(path)
    return Weights(str(path), [_source_layer(path, layer) for layer in net.layer])


def _source_layer(path: Path, layer: object) -> SourceLayer:
    name, blobs = layer.name, layer.blobs  # type: ignore[attr-defined]
    return SourceLayer(
        name,
        [
            blob_array(blob, f'{path}: layer "{name}", blob {index}')
            for index, blob in enumerate(blobs)
        ],
        [is_legacy(blob) for blob in blobs],
    )


def net_to_proto(net: CaffeNet) -> NetParameter:
    """The net as Caffe saves it: the layers that ran, splits among them, with their blobs."""
    result = NetParameter()
    if net.name:
        result.name = net.name
    params = net.params
    for step in net.steps:
        layer = step.param.copy()
        layer.phase = step.phase
        if step.kind.loss and not layer.loss_weight:
            layer.loss_weight = step.loss_weights[: len(step.tops)]
        if step.kind.name == "BatchNorm":
            while len(layer.param) < len(step.plan.blobs):
                layer.param.append(ParamSpec(lr_mult=0.0))
        layer.blobs = [
            make_blob(value.detach().cpu().float().numpy()) for value in params.get(step.name, [])
        ]
        result.layer.append(layer)
    return result


def save_caffemodel(net: CaffeNet, path: Path) -> None:
    """Write what real Caffe reads, and would itself have written."""
    proto.write_wire(path, net_to_proto(net))
