"""V0 nets: ``layers { layer { ... } bottom: ... top: ... }``, Caffe's form of early 2014."""

from __future__ import annotations

from torchcaffe.proto.message import Field
from torchcaffe.proto.schema import NetParameter, V0LayerParameter, V1LayerParameter
from torchcaffe.proto.suggest import did_you_mean
from torchcaffe.proto.upgrade_tools import Upgrade, keep_place, move

_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}
_PARAMS = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}
_FILTERS = ("conv", "innerproduct")
_WINDOWS = ("conv", "pool")
_SOURCES = ("data", "hdf5_data", "images", "window_data")
# V0 field: its name in the parameters of the types that may have it, and those types.
_ROUTES: dict[str, tuple[str, tuple[str, ...]]] = {
    "num_output": ("num_output", _FILTERS),
    "biasterm": ("bias_term", _FILTERS),
    "weight_filler": ("weight_filler", _FILTERS),
    "bias_filler": ("bias_filler", _FILTERS),
    "pad": ("pad", _WINDOWS),
    "kernelsize": ("kernel_size", _WINDOWS),
    "stride": ("stride", _WINDOWS),
    "group": ("group", ("conv",)),
    "pool": ("pool", ("pool",)),
    "dropout_ratio": ("dropout_ratio", ("dropout",)),
    "local_size": ("local_size", ("lrn",)),
    "alpha": ("alpha", ("lrn",)),
    "beta": ("beta", ("lrn",)),
    "k": ("k", ("lrn",)),
    "source": ("source", (*_SOURCES, "infogain_loss")),
    "batchsize": ("batch_size", _SOURCES),
    "rand_skip": ("rand_skip", ("data", "images")),
    "shuffle_images": ("shuffle", ("images",)),
    "new_height": ("new_height", ("images",)),
    "new_width": ("new_width", ("images",)),
    "concat_dim": ("concat_dim", ("concat",)),
    "det_fg_threshold": ("fg_threshold", ("window_data",)),
    "det_bg_threshold": ("bg_threshold", ("window_data",)),
    "det_fg_fraction": ("fg_fraction", ("window_data",)),
    "det_context_pad": ("context_pad", ("window_data",)),
    "det_crop_mode": ("crop_mode", ("window_data",)),
}
_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
_KEPT = ("name", "blobs", "blobs_lr", "weight_decay")
_IGNORED = ("type", "new_num", "new_channels")


def upgrade_v0(net: NetParameter, upgrade: Upgrade) -> NetParameter:
    """A V0 net as V1; every other field of the net than its name and inputs is dropped."""
    result = NetParameter()
    result.location, result.unknown = net.location, list(net.unknown)
    for name in ("name", "input", "input_dim", "force_backward"):
        if net.has(name):
            move(net, name, result, name)
    result.layers = [_layer(layer, upgrade) for layer in _fold_padding(net, upgrade)]
    return result


def _fold_padding(net: NetParameter, upgrade: Upgrade) -> list[V1LayerParameter]:
    """The net's layers without its padding layers, whose pad their consumers take over."""
    kept = []
    maker: dict[str, V1LayerParameter | None] = dict.fromkeys(net.input)
    for layer in net.layers:
        twin: V1LayerParameter = layer.copy()
        if layer.layer.type != "padding":
            kept.append(twin)
        for i, bottom in enumerate(layer.bottom):
            if bottom not in maker:
                raise upgrade.error(
                    layer.where("bottom"),
                    f'layer "{layer.layer.name}" takes "{bottom}", which no layer before it makes',
                )
            source = maker[bottom]
            if source is not None and source.layer.type == "padding":
                _check_padding(source, layer, upgrade)
                twin.ensure("layer").pad = source.layer.pad
                twin.bottom[i] = source.bottom[0]
        maker.update(dict.fromkeys(layer.top, layer))
    return kept


def _check_padding(source: V1LayerParameter, layer: V1LayerParameter, upgrade: Upgrade) -> None:
    name = f'layer "{layer.layer.name}"'
    if layer.layer.type not in _WINDOWS:
        raise upgrade.error(
            layer.where(),
            f'{name} of type "{layer.layer.type}" takes the top of padding layer '
            f'"{source.layer.name}"; only conv and pool layers can',
        )
    if len(layer.bottom) != 1:
        raise upgrade.error(
            layer.where("bottom"),
            f"{name} takes the top of a padding layer and must have one bottom, "
            f"but has {len(layer.bottom)}",
        )
    if len(source.bottom) != 1 or len(source.top) != 1:
        raise upgrade.error(
            source.where(),
            f'padding layer "{source.layer.name}" must have one bottom and one top, but has '
            f"{len(source.bottom)} and {len(source.top)}",
        )


def _layer(connection: V1LayerParameter, upgrade: Upgrade) -> V1LayerParameter:
    result = V1LayerParameter()
    result.location = connection.location
    for name in ("bottom", "top"):
        if connection.has(name):
            move(connection, name, result, name)
    if not connection.has("layer"):
        return result
    old = connection.layer
    if old.has("type"):
        result.type = _type(old, upgrade)
        keep_place(old, "type", result, "type")
    for field, _ in old.present():
        _field(field, old, result, upgrade)
    return result


def _type(old: V0LayerParameter, upgrade: Upgrade) -> str:
    if old.type not in _TYPES:
        raise upgrade.error(
            old.where("type"),
            f'layer "{old.name}" has the type "{old.type}", which no V0 net has'
            + did_you_mean(old.type, _TYPES),
        )
    return _TYPES[old.type]


def _field(field: Field, old: V0LayerParameter, new: V1LayerParameter, upgrade: Upgrade) -> None:
    """Put one field of a V0 layer where its V1 layer has it."""
    name = field.name
    if name in _KEPT:
        move(old, name, new, name)
    elif name in _TRANSFORM:
        move(old, name, new.ensure("transform_param"), _TRANSFORM[name])
    elif name == "hdf5_output_param" and old.type == "hdf5_output":
        move(old, name, new, name)
    elif name in _ROUTES and old.type in _ROUTES[name][1]:
        move(old, name, new.ensure(_PARAMS[old.type]), _ROUTES[name][0])
    elif name not in _IGNORED:
        upgrade.problem(
            old.where(name),
            f'layer "{old.name}" of type "{old.type}" has {name}, which the type does not know; '
            "it is ignored",
        )
