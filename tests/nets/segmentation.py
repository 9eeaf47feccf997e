"""Nets that answer for each pixel: FCN-8s, HED, U-Net."""

from __future__ import annotations

from nets.classic import CUSTOM, vgg_stages
from nets.writer import Writer

FIXED = "param { lr_mult: 0 }"
BILINEAR = 'bias_term: false weight_filler { type: "bilinear" }'


def _upsample(net: Writer, name: str, bottom: str, outputs: int, factor: int, learn: str) -> str:
    """Bilinear interpolation of each channel: a kernel of twice the factor."""
    sizes = f"num_output: {outputs} group: {outputs} kernel_size: {2 * factor} stride: {factor}"
    sizes = sizes.replace(" group: 1 ", " ")
    body = f"{learn} convolution_param {{ {sizes} {BILINEAR} }}"
    return net.add(name, "Deconvolution", bottom, body)


def _crop(net: Writer, name: str, bottom: str, reference: str, offset: int) -> str:
    body = f"crop_param {{ axis: 2 offset: {offset} }}"
    return net.add(name, "Crop", [bottom, reference], body)


def fcn8s() -> str:
    """Long, Shelhamer and Darrell 2014, for the 21 classes of PASCAL VOC."""
    about = """
    FCN-8s of Long, Shelhamer and Darrell 2014 (arXiv:1411.4038), for PASCAL VOC's 21 classes.
    The first convolution pads by 100, which the last Crop takes away: any image size will do."""
    net = Writer("FCN-8s", about, CUSTOM, 'weight_filler { type: "xavier" }')
    net.input("data", (1, 3, 500, 500))
    with net.only("TRAIN"):
        net.input("label", (1, 1, 500, 500))
    vgg_stages(net, first_pad=100)
    blob = "pool5"
    for number, kernel in ((6, 7), (7, 1)):
        blob = net.convolution(f"fc{number}", blob, 4096, kernel)
        net.relu(f"relu{number}", blob)
        net.dropout(f"drop{number}", blob)
    blob = net.convolution("score_fr", blob, 21, 1)
    blob = _upsample(net, "upscore2", blob, 21, 2, FIXED)
    for pool, offset in ((4, 5), (3, 9)):
        skip = net.convolution(f"score_pool{pool}", f"pool{pool}", 21, 1)
        skip = _crop(net, f"score_pool{pool}c", skip, blob, offset)
        blob = net.eltwise_sum(f"fuse_pool{pool}", [blob, skip])
        name, factor = ("upscore_pool4", 2) if pool == 4 else ("upscore8", 8)
        blob = _upsample(net, name, blob, 21, factor, FIXED)
    blob = _crop(net, "score", blob, "data", 31)
    with net.only("TRAIN"):
        body = "loss_param { ignore_label: 255 normalize: false }"
        net.add("loss", "SoftmaxWithLoss", [blob, "label"], body)
    return net.text


def hed() -> str:
    """Xie and Tu 2015: an edge map from each stage of VGG-16, and one from all of them."""
    about = """
    Holistically-nested edge detection of Xie and Tu 2015 (arXiv:1504.06375).
    Each of VGG-16's stages gives an edge map, enlarged to the image's size and cropped where the
    padding of 35 and the poolings have moved it."""
    net = Writer("HED", about, CUSTOM, 'weight_filler { type: "xavier" }')
    net.input("data", (1, 3, 400, 400))
    with net.only("TRAIN"):
        net.input("label", (1, 1, 400, 400))
    maps = []
    for side, end in enumerate(vgg_stages(net, first_pad=35, last_pool=False), 1):
        blob = net.convolution(f"score-dsn{side}", end, 1, 1)
        if side > 1:
            blob = _upsample(net, f"upsample_{2 ** (side - 1)}", blob, 1, 2 ** (side - 1), FIXED)
        maps.append(_crop(net, f"upscore-dsn{side}", blob, "data", (34, 35, 36, 38, 42)[side - 1]))
    blob = net.concat("concat-upscore", maps)
    net.filler = 'weight_filler { type: "constant" value: 0.2 }'
    maps.append(net.convolution("upscore-fuse", blob, 1, 1))
    names = [*(f"dsn{side}" for side in range(1, 6)), "fuse"]
    with net.only("TRAIN"):
        for name, blob in zip(names, maps, strict=True):
            net.add(f"{name}_loss", "SigmoidCrossEntropyLoss", [blob, "label"])
    with net.only("TEST"):
        for name, blob in zip(names, maps, strict=True):
            net.add(f"sigmoid-{name}", "Sigmoid", blob)
    return net.text


def _double(net: Writer, name: str, bottom: str, filters: int) -> str:
    for part in "ab":
        bottom = net.convolution(f"conv_{name}{part}", bottom, filters, 3)
        net.relu(f"relu_{name}{part}", bottom)
    return bottom


def unet() -> str:
    """Ronneberger, Fischer and Brox 2015: convolutions without padding."""
    about = """
    U-Net of Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597).
    No convolution pads: of an image of 572x572, the middle 388x388 is labelled."""
    net = Writer("U-Net", about, CUSTOM, 'weight_filler { type: "msra" }')
    net.input("data", (1, 1, 572, 572))
    with net.only("TRAIN"):
        net.input("label", (1, 1, 388, 388))
    blob, skips = "data", []
    for depth in range(4):
        skips.append(_double(net, f"d{depth}", blob, 64 << depth))
        if depth == 3:
            net.dropout("drop_d3", skips[-1])
        blob = net.pool(f"pool_d{depth}", skips[-1], "MAX", 2, 2)
    blob = _double(net, "bottom", blob, 1024)
    net.dropout("drop_bottom", blob)
    for depth in (3, 2, 1, 0):
        name = f"upconv_u{depth}"
        blob = net.convolution(name, blob, 64 << depth, 2, stride=2, kind="Deconvolution")
        net.relu(f"relu_{name}", blob)
        skip = net.add(
            f"crop_d{depth}", "Crop", [skips[depth], blob], "crop_param { axis: 2 offset: 0 }"
        )
        blob = _double(net, f"u{depth}", net.concat(f"concat_u{depth}", [blob, skip]), 64 << depth)
    blob = net.convolution("score", blob, 2, 1)
    with net.only("TRAIN"):
        net.add("loss", "SoftmaxWithLoss", [blob, "label"])
    with net.only("TEST"):
        net.add("prob", "Softmax", blob)
    return net.text
