"""HDF5Data: rows of HDF5 files."""

from __future__ import annotations

from torchcaffe.data import HDF5Rows
from torchcaffe.layers._data import data_plan, require_source, setting
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer


@caffe_layer(
    "HDF5Data",
    bottoms=0,
    tops=(1, None),
    exactness=bitwise(),
    gradient=bitwise(),
    differentiable=False,
    params=("transform_param",),
)
def hdf5_data(layer: Setup) -> Plan:
    """y_i = the next rows of the datasets that are named like the tops.

    tops    y_i  (batch_size, ...), of the shape that a row has
    torch   none
    Caffe   src/caffe/layers/hdf5_data_layer.cpp; shuffle draws from libc's rand(), which no seed of
            Caffe's reaches
    """
    p = layer.param.hdf5_data_param
    require_source(layer, p.source)
    layer.require(
        not layer.param.has("transform_param"),
        "has transform_param, and Caffe's HDF5Data transforms nothing; change the numbers in the "
        "files, or by layers such as Power",
    )
    size = setting(layer, p.batch_size).batch_size
    names = list(layer.param.top)
    return data_plan(layer, lambda: HDF5Rows(p.source, names, size, layer.phase, p.shuffle))
