"""WindowData: windows of images, warped to one size."""

from __future__ import annotations

from torchcaffe.data import Windows
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
    "WindowData",
    bottoms=0,
    tops=2,
    exactness=bitwise(),
    gradient=bitwise(),
    differentiable=False,
    params=("transform_param", "data_param"),
)
def window_data(layer: Setup) -> Plan:
    """y = (pixel - mean) * scale of random windows, warped to crop_size.

    tops    data   (batch_size, 3, crop_size, crop_size), BGR; what context_pad leaves empty is 0
            label  (batch_size), 0 for the background
    torch   none
    Caffe   src/caffe/layers/window_data_layer.cpp; scale is read from window_data_param, crop_size,
            mirror and the mean from transform_param
    """
    p, t = layer.param.window_data_param, layer.param.transform_param
    require_source(layer, p.source)
    layer.require(t.crop_size > 0, "needs a crop_size in transform_param")
    layer.require(
        2 * p.context_pad < t.crop_size,
        f"has context_pad {p.context_pad}, which leaves nothing of crop_size {t.crop_size}",
    )
    layer.require(
        p.crop_mode in ("warp", "square"),
        f'crop_mode is "warp" or "square", got "{p.crop_mode}"',
    )
    layer.require(0 <= p.fg_fraction <= 1, f"fg_fraction lies in 0 to 1, got {p.fg_fraction:g}")
    warn_unused(layer, p, ("mean_file", "crop_size", "mirror"), "put it into transform_param")
    warn_unused(layer, t, ("scale",), "put it into window_data_param")
    warn_unused(layer, t, ("force_color", "force_gray"), "leave it out")
    return data_plan(layer, lambda: Windows(p, setting(layer, p.batch_size), transformer(layer)))
