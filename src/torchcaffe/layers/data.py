"""Data: records of a database."""

from __future__ import annotations

from torchcaffe.data import Records
from torchcaffe.data.lmdb_file import LEVELDB
from torchcaffe.layers._data import (
    data_plan,
    require_source,
    setting,
    transformer,
    warn_unused,
)
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer(
    "Data",
    bottoms=0,
    tops=(1, 2),
    exactness=bitwise(),
    gradient=bitwise(),
    differentiable=False,
    params=("transform_param",),
)
def data(layer: Setup) -> Plan:
    """y = (pixel - mean) * scale of the next records of an LMDB.

    tops    data   (batch_size, C, H, W), of the first record's size or cropped
            label  (batch_size), may be absent
    torch   none
    Caffe   src/caffe/layers/data_layer.cpp; a crop is random in phase TRAIN and the middle in TEST,
            but mirroring is random in both
    """
    p = layer.param.data_param
    require_source(layer, p.source)
    layer.require(
        p.backend == "LMDB",
        f'reads "{p.source}" as a LevelDB, Caffe\'s backend unless the layer says backend: LMDB. '
        f"LevelDB is not read here: {LEVELDB}",
    )
    old = ("scale", "mean_file", "crop_size", "mirror")
    warn_unused(layer, p, old, "put it into transform_param")
    warn_unused(layer, p, ("rand_skip", "force_encoded_color"), "leave it out")
    t = layer.param.transform_param
    layer.require(
        not (t.force_color and t.force_gray),
        "has both force_color and force_gray; give one of them",
    )

    def make() -> Records:
        feed = Records(p.source, setting(layer, p.batch_size), transformer(layer))
        if not feed.decodes:
            forced = ("force_color", "force_gray")
            warn_unused(layer, t, forced, "leave it out: the records are not encoded images")
        return feed

    return data_plan(layer, make)
