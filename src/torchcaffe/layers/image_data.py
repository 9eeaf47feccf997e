"""ImageData: the image files of a list."""

from __future__ import annotations

from torchcaffe.data import ImageList
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
    "ImageData",
    bottoms=0,
    tops=2,
    exactness=bitwise(),
    gradient=bitwise(),
    differentiable=False,
    params=("transform_param", "data_param"),
)
def image_data(layer: Setup) -> Plan:
    """y = (pixel - mean) * scale of the next images of a list.

    tops    data   (batch_size, C, H, W): BGR, or grey with is_color: false
            label  (batch_size)
    torch   none
    Caffe   src/caffe/layers/image_data_layer.cpp; a line's label is what stands after its last
            space, so that a list without labels gives 0
    """
    p = layer.param.image_data_param
    require_source(layer, p.source)
    layer.require(
        bool(p.new_height) == bool(p.new_width),
        f"has new_height {p.new_height} and new_width {p.new_width}; give both or neither",
    )
    old = ("scale", "mean_file", "crop_size", "mirror")
    warn_unused(layer, p, old, "put it into transform_param")
    forced = ("force_color", "force_gray")
    warn_unused(layer, layer.param.transform_param, forced, "use is_color")
    return data_plan(layer, lambda: ImageList(p, setting(layer, p.batch_size), transformer(layer)))
