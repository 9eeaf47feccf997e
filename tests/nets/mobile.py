"""MobileNet v1 and v2, and DenseNet-121."""

from __future__ import annotations

from nets.writer import Writer, image_net

MSRA = 'weight_filler { type: "msra" }'


def _convolution(
    net: Writer, name: str, bottom: str, filters: int, kernel: int, stride: int = 1, group: int = 1
) -> str:
    top = net.convolution(
        name, bottom, filters, kernel, stride=stride, pad=kernel // 2, group=group, bias=False
    )
    return net.batch_norm(f"{name}/bn", top, f"{name}/scale")


def mobilenet_v1() -> str:
    """Howard et al. 2017, width 1."""
    net = image_net(
        "MobileNet", "MobileNet of Howard et al. 2017 (arXiv:1704.04861).", 224, filler=MSRA
    )
    blob, channels = net.relu("relu1", _convolution(net, "conv1", "data", 32, 3, 2)), 32
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    blocks += [(1024, 2), (1024, 1)]
    for number, (filters, stride) in enumerate(blocks, 2):
        blob = _convolution(net, f"conv{number}/dw", blob, channels, 3, stride, channels)
        net.relu(f"relu{number}/dw", blob)
        blob = _convolution(net, f"conv{number}/sep", blob, filters, 1)
        net.relu(f"relu{number}/sep", blob)
        channels = filters
    net.classify(net.inner_product("fc15", net.global_pool("pool14", blob), 1000))
    return net.text


def _relu6(net: Writer, name: str, blob: str) -> str:
    """min(max(x, 0), 6); not in place, where Caffe's Clip passes every gradient on."""
    return net.add(name, "Clip", blob, "clip_param { min: 0 max: 6 }")


def mobilenet_v2() -> str:
    """Sandler et al. 2018, width 1: rows of expansion, filters, repeats, stride."""
    about = "MobileNet v2 of Sandler et al. 2018 (arXiv:1801.04381)."
    net = image_net("MobileNet v2", about, 224, filler=MSRA)
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    rows += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    blob, channels = _relu6(net, "conv1/relu6", _convolution(net, "conv1", "data", 32, 3, 2)), 32
    for row, (expansion, filters, repeats, first) in enumerate(rows, 2):
        for index in range(1, repeats + 1):
            at, start, hidden = f"conv{row}_{index}", blob, channels * expansion
            stride = first if index == 1 else 1
            if expansion != 1:
                blob = _convolution(net, f"{at}/expand", blob, hidden, 1)
                blob = _relu6(net, f"{at}/expand/relu6", blob)
            blob = _convolution(net, f"{at}/dwise", blob, hidden, 3, stride, hidden)
            blob = _relu6(net, f"{at}/dwise/relu6", blob)
            blob = _convolution(net, f"{at}/linear", blob, filters, 1)
            if stride == 1 and channels == filters:
                blob = net.eltwise_sum(f"{at}/sum", [start, blob])
            channels = filters
    blob = _relu6(net, "conv9/relu6", _convolution(net, "conv9", blob, 1280, 1))
    net.classify(net.inner_product("fc10", net.global_pool("pool9", blob), 1000))
    return net.text


def _dense_layer(net: Writer, at: str, bottom: str, filters: int, kernel: int) -> str:
    """Normalise, rectify, convolve: not in place, as others read the bottom too."""
    net.add(f"{at}/bn", "BatchNorm", bottom)
    net.add(f"{at}/scale", "Scale", f"{at}/bn", "scale_param { bias_term: true }", f"{at}/bn")
    net.relu(f"{at}/relu", f"{at}/bn")
    return net.convolution(at, f"{at}/bn", filters, kernel, pad=kernel // 2, bias=False)


def densenet121() -> str:
    """Huang et al. 2016: growth 32, blocks of 6, 12, 24 and 16, transitions that halve."""
    about = "DenseNet-121 of Huang et al. 2016 (arXiv:1608.06993)."
    net = image_net("DenseNet-121", about, 224, filler=MSRA)
    blob = net.convolution("conv1", "data", 64, 7, stride=2, pad=3, bias=False)
    net.batch_norm("conv1/bn", blob, "conv1/scale")
    net.relu("conv1/relu", blob)
    blob, channels = net.pool("pool1", blob, "MAX", 3, 2), 64
    for block, count in enumerate((6, 12, 24, 16), 2):
        for index in range(1, count + 1):
            at = f"conv{block}_{index}"
            new = _dense_layer(net, f"{at}/x1", blob, 128, 1)
            new = _dense_layer(net, f"{at}/x2", new, 32, 3)
            blob, channels = net.concat(f"concat_{block}_{index}", [blob, new]), channels + 32
        if block < 5:
            channels //= 2
            blob = _dense_layer(net, f"conv{block}_blk", blob, channels, 1)
            blob = net.pool(f"pool{block}", blob, "AVE", 2, 2)
    net.batch_norm("conv5_blk/bn", blob, "conv5_blk/scale")
    net.relu("relu5_blk", blob)
    net.classify(net.inner_product("fc6", net.global_pool("pool5", blob), 1000))
    return net.text
