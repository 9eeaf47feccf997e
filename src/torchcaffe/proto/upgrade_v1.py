"""V1 nets: ``layers { type: CONVOLUTION ... }``, Caffe's form of late 2014."""

from __future__ import annotations

from torchcaffe.proto.schema import LayerParameter, NetParameter, ParamSpec, V1LayerParameter
from torchcaffe.proto.upgrade_tools import Upgrade, keep_place, move

_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "SLICE": "Slice",
    "TANH": "TanH",
    "WINDOW_DATA": "WindowData",
    "THRESHOLD": "Threshold",
}
# V1 has four parallel lists where today's layers have one list of ParamSpec.
_SPEC_FIELDS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}


def upgrade_v1(net: NetParameter, upgrade: Upgrade) -> NetParameter:
    """A V1 net as Caffe 1.0 has it; every other field of the net is kept."""
    if net.layer:
        raise upgrade.error(
            net.layer[0].where(),
            'the net has layers both as "layer" and as the older "layers"; use "layer" only',
        )
    net.layer = [_layer(layer) for layer in net.layers]
    net.clear("layers")
    return net


def _layer(old: V1LayerParameter) -> LayerParameter:
    new = LayerParameter()
    new.location = old.location
    for field, value in old.present():
        if field.name in _SPEC_FIELDS:
            _add_specs(new, old, field.name)
        elif field.name == "type":
            new.type = _TYPES[value]
            keep_place(old, "type", new, "type")
        else:
            move(old, field.name, new, field.name)
    return new


def _add_specs(new: LayerParameter, old: V1LayerParameter, name: str) -> None:
    values = getattr(old, name)
    while len(new.param) < len(values):
        spec = ParamSpec()
        spec.location = old.where(name)
        new.param.append(spec)
    for spec, value in zip(new.param, values, strict=False):
        setattr(spec, _SPEC_FIELDS[name], value)
