"""VGG-16, GoogLeNet and the two SqueezeNets."""

from __future__ import annotations

from nets.writer import Writer, image_net

# Biases learn twice as fast and do not decay: the custom of Caffe's first years.
CUSTOM = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"
XAVIER = 'weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.2 }'
VGG_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg_stages(net: Writer, first_pad: int = 1, last_pool: bool = True) -> list[str]:
    """VGG-16's thirteen convolutions; the last blob of each stage before its pooling."""
    blob, ends = "data", []
    for stage, (filters, count) in enumerate(VGG_STAGES, 1):
        for index in range(1, count + 1):
            pad = first_pad if blob == "data" else 1
            blob = net.convolution(f"conv{stage}_{index}", blob, filters, 3, pad=pad)
            net.relu(f"relu{stage}_{index}", blob)
        ends.append(blob)
        if stage < 5 or last_pool:
            blob = net.pool(f"pool{stage}", blob, "MAX", 2, 2)
    return ends


def vgg16() -> str:
    """Simonyan and Zisserman 2014, configuration D."""
    about = "VGG-16, configuration D of Simonyan and Zisserman 2014 (arXiv:1409.1556)."
    net = image_net("VGG-16", about, 224, learn=CUSTOM, filler='weight_filler { type: "xavier" }')
    vgg_stages(net)
    blob = "pool5"
    for index in (6, 7):
        blob = net.inner_product(f"fc{index}", blob, 4096)
        net.relu(f"relu{index}", blob)
        net.dropout(f"drop{index}", blob)
    net.classify(net.inner_product("fc8", blob, 1000))
    return net.text


# Filters of 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool proj: table 1 of the paper.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _convolution(
    net: Writer, name: str, bottom: str, filters: int, kernel: int, stride: int = 1
) -> str:
    top = net.convolution(name, bottom, filters, kernel, stride=stride, pad=kernel // 2)
    return net.relu(f"{name}/relu", top)


def _inception(net: Writer, name: str, bottom: str) -> str:
    one, reduce3, three, reduce5, five, projected = INCEPTIONS[name]
    at = f"inception_{name}"
    branches = [_convolution(net, f"{at}/1x1", bottom, one, 1)]
    for size, reduced, filters in ((3, reduce3, three), (5, reduce5, five)):
        blob = _convolution(net, f"{at}/{size}x{size}_reduce", bottom, reduced, 1)
        branches.append(_convolution(net, f"{at}/{size}x{size}", blob, filters, size))
    blob = net.pool(f"{at}/pool", bottom, "MAX", 3, 1, 1)
    branches.append(_convolution(net, f"{at}/pool_proj", blob, projected, 1))
    return net.concat(f"{at}/output", branches)


def _auxiliary(net: Writer, number: int, bottom: str) -> None:
    """A classifier in the middle, whose loss counts 0.3, in TRAIN only."""
    at = f"loss{number}"
    with net.only("TRAIN"):
        blob = net.pool(f"{at}/ave_pool", bottom, "AVE", 5, 3)
        blob = _convolution(net, f"{at}/conv", blob, 128, 1)
        blob = net.relu(f"{at}/relu_fc", net.inner_product(f"{at}/fc", blob, 1024))
        net.dropout(f"{at}/drop_fc", blob, 0.7)
        blob = net.inner_product(f"{at}/classifier", blob, 1000)
        net.add(f"{at}/loss", "SoftmaxWithLoss", [blob, "label"], "loss_weight: 0.3")


def googlenet() -> str:
    """Szegedy et al. 2014, with its two auxiliary classifiers."""
    about = (
        "GoogLeNet of Szegedy et al. 2014 (arXiv:1409.4842), its auxiliary classifiers in TRAIN."
    )
    net = image_net("GoogLeNet", about, 224, learn=CUSTOM, filler=XAVIER)
    lrn = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
    blob = _convolution(net, "conv1/7x7_s2", "data", 64, 7, 2)
    blob = net.pool("pool1/3x3_s2", blob, "MAX", 3, 2)
    blob = net.add("pool1/norm1", "LRN", blob, lrn)
    blob = _convolution(net, "conv2/3x3_reduce", blob, 64, 1)
    blob = _convolution(net, "conv2/3x3", blob, 192, 3)
    blob = net.add("conv2/norm2", "LRN", blob, lrn)
    blob = net.pool("pool2/3x3_s2", blob, "MAX", 3, 2)
    for name in INCEPTIONS:
        blob = _inception(net, name, blob)
        if name in ("4a", "4d"):
            _auxiliary(net, 1 if name == "4a" else 2, blob)
        if name in ("3b", "4e"):
            blob = net.pool(f"pool{3 if name == '3b' else 4}/3x3_s2", blob, "MAX", 3, 2)
    blob = net.pool("pool5/7x7_s1", blob, "AVE", 7, 1)
    net.dropout("pool5/drop_7x7_s1", blob, 0.4)
    net.classify(net.inner_product("classifier", blob, 1000))
    return net.text


def _fire(net: Writer, number: int, bottom: str) -> str:
    squeezed = 16 * (number // 2)
    at = f"fire{number}"
    blob = net.convolution(f"{at}/squeeze1x1", bottom, squeezed, 1)
    net.relu(f"{at}/relu_squeeze1x1", blob)
    expanded = []
    for size in (1, 3):
        name = f"{at}/expand{size}x{size}"
        expanded.append(net.convolution(name, blob, 4 * squeezed, size, pad=size // 2))
        net.relu(f"{at}/relu_expand{size}x{size}", name)
    return net.concat(f"{at}/concat", expanded)


def squeezenet(version: str) -> str:
    """Iandola et al. 2016; 1.1 pools earlier and starts with fewer, smaller filters."""
    filters, kernel, pools = (96, 7, (1, 4, 8)) if version == "1.0" else (64, 3, (1, 3, 5))
    about = f"SqueezeNet {version} of Iandola et al. 2016 (arXiv:1602.07360)."
    net = image_net(f"SqueezeNet {version}", about, 227, filler='weight_filler { type: "msra" }')
    blob = net.convolution("conv1", "data", filters, kernel, stride=2)
    net.relu("relu_conv1", blob)
    for number in range(1, 10):
        blob = blob if number == 1 else _fire(net, number, blob)
        if number in pools:
            blob = net.pool(f"pool{number}", blob, "MAX", 3, 2)
    net.dropout("drop9", blob)
    net.filler = 'weight_filler { type: "gaussian" std: 0.01 }'
    blob = net.convolution("conv10", blob, 1000, 1)
    net.relu("relu_conv10", blob)
    net.classify(net.global_pool("pool10", blob))
    return net.text
