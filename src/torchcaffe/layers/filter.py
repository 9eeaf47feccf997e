"""Filter: the items of each blob that a selector picks."""

from collections.abc import Sequence

from torch import Tensor

from torchcaffe.layers._call import BOTTOMS, Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Plan, Setup, caffe_layer, shape_text


def filter_items(bottoms: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The items of all bottoms but the last, where the last is not 0.

    Without data (on the meta device) all are kept, as Caffe does when it builds a net.
    """
    *blobs, selector = bottoms
    if selector.is_meta:
        return tuple(x.clone() for x in blobs)
    picked = selector.flatten().nonzero().flatten()
    return tuple(x.index_select(0, picked) for x in blobs)


@caffe_layer(
    "Filter",
    bottoms=(2, None),
    tops=(1, None),
    exactness=bitwise(),
    gradient=bitwise(),
    indices=(-1,),
)
def filter_layer(layer: Setup) -> Plan:
    """y_i = the items n of x_i with s_n != 0, in their order.

    bottoms  x_i  (N, ...)
             s    (N[, 1...])  the selector, the last bottom; no gradient
    tops     y_i  (K, ...)     K is known only when the net runs, and may be 0
    torch    x[s != 0]
    Caffe    src/caffe/layers/filter_layer.cpp; its backward pass crashes if nothing is picked
    """
    *blobs, selector = layer.bottoms
    layer.require(
        layer.tops == len(blobs),
        f"takes a top for each bottom but the last, the selector: {len(blobs)}, got {layer.tops}",
    )
    layer.require(
        bool(selector) and all(size == 1 for size in selector[1:]),
        f"its selector, the last bottom, must be one number for each item, (N) or (N, 1, ...), got "
        f"{shape_text(selector)}",
    )
    for name, shape in zip(layer.param.bottom, blobs, strict=False):
        layer.require(
            shape[:1] == selector[:1],
            f'its bottoms must have as many items as the selector, {selector[0]}; "{name}" is '
            f"{shape_text(shape)}",
        )
    return Plan(Call("torchcaffe.layers.filter.filter_items", BOTTOMS))
