"""Small nets of the well-known architectures, and weights as a trained net might have them.

Narrow enough that a pass takes milliseconds; every kind of layer that a port can get wrong is there
with sizes at which getting it wrong shows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nets.writer import Writer
from torchcaffe.net import CaffeNet
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import NetParameter

XAVIER = 'weight_filler { type: "xavier" }'


def lenet() -> str:
    """LeNet with pooling 3/2, whose last windows hang over the edge, and a square layer."""
    net = Writer("LeNet", "", filler=XAVIER)
    blob = net.input("data", (2, 1, 28, 28))
    blob = net.convolution("conv1", blob, 8, 5)
    blob = net.pool("pool1", blob, "MAX", 3, 2)
    blob = net.convolution("conv2", blob, 12, 5)
    blob = net.pool("pool2", blob, "MAX", 2, 2)
    blob = net.inner_product("ip1", blob, 40)
    net.relu("relu1", blob)
    blob = net.inner_product("ip2", blob, 40)
    net.relu("relu2", blob)
    blob = net.inner_product("ip3", blob, 10)
    net.add("prob", "Softmax", blob)
    return net.text


def _features(net: Writer, bottom: str, suffix: str = "") -> str:
    """CaffeNet's five convolutions, pooling before LRN."""
    blob = net.convolution(f"conv1{suffix}", bottom, 12, 11, stride=4)
    net.relu(f"relu1{suffix}", blob)
    blob = net.pool(f"pool1{suffix}", blob, "MAX", 3, 2)
    lrn = "lrn_param { local_size: 5 alpha: 0.01 beta: 0.75 }"
    blob = net.add(f"norm1{suffix}", "LRN", blob, lrn)
    blob = net.convolution(f"conv2{suffix}", blob, 16, 5, pad=2, group=2)
    net.relu(f"relu2{suffix}", blob)
    blob = net.pool(f"pool2{suffix}", blob, "MAX", 3, 2)
    blob = net.add(f"norm2{suffix}", "LRN", blob, lrn)
    blob = net.convolution(f"conv3{suffix}", blob, 16, 3, pad=1)
    net.relu(f"relu3{suffix}", blob)
    blob = net.convolution(f"conv4{suffix}", blob, 16, 3, pad=1, group=2)
    net.relu(f"relu4{suffix}", blob)
    blob = net.convolution(f"conv5{suffix}", blob, 16, 3, pad=1, group=2)
    net.relu(f"relu5{suffix}", blob)
    return net.pool(f"pool5{suffix}", blob, "MAX", 3, 2)


def caffenet() -> str:
    """CaffeNet on images of 99, narrow."""
    net = Writer("CaffeNet", "", filler=XAVIER)
    blob = _features(net, net.input("data", (2, 3, 99, 99)))
    for name, outputs in (("fc6", 64), ("fc7", 64)):
        blob = net.inner_product(name, blob, outputs)
        net.relu(name.replace("fc", "relu"), blob)
        net.dropout(name.replace("fc", "drop"), blob)
    blob = net.inner_product("fc8", blob, 20)
    net.add("prob", "Softmax", blob)
    return net.text


def goturn() -> str:
    """GOTURN's two towers, without its loss."""
    net = Writer("GOTURN", "", filler=XAVIER)
    target, image = net.input("target", (2, 3, 99, 99)), net.input("image", (2, 3, 99, 99))
    blob = net.concat("concat", [_features(net, target), _features(net, image, "_p")])
    for name, top in (("fc6-new", "fc6"), ("fc7-new", "fc7"), ("fc7-newb", "fc7b")):
        net.add(
            name, "InnerProduct", blob, f"inner_product_param {{ num_output: 48 {XAVIER} }}", top
        )
        net.relu(top.replace("fc", "relu"), top)
        blob = net.dropout(top.replace("fc", "drop"), top)
    net.add(
        "fc8-shapes", "InnerProduct", blob, f"inner_product_param {{ num_output: 4 {XAVIER} }}",
        "fc8",
    )  # fmt: skip
    return net.text


def _branch(
    net: Writer, unit: str, part: str, bottom: str, filters: int, kernel: int, stride: int = 1
) -> str:
    name = f"res{unit}_{part}"
    top = net.convolution(name, bottom, filters, kernel, stride=stride, pad=kernel // 2, bias=False)
    return net.batch_norm(f"bn{unit}_{part}", top, f"scale{unit}_{part}")


def _basic(net: Writer, unit: str, bottom: str, filters: int, stride: int) -> str:
    short = bottom
    if stride > 1:
        short = _branch(net, unit, "branch1", bottom, filters, 1, stride)
    blob = _branch(net, unit, "branch2a", bottom, filters, 3, stride)
    net.relu(f"res{unit}_branch2a_relu", blob)
    blob = _branch(net, unit, "branch2b", blob, filters, 3)
    blob = net.eltwise_sum(f"res{unit}", [short, blob])
    return net.relu(f"res{unit}_relu", blob)


def resnet18() -> str:
    """The stem and the stages of ResNet-18, one or two units each."""
    net = Writer("ResNet-18", "", filler='weight_filler { type: "msra" }')
    blob = net.input("data", (2, 3, 64, 64))
    blob = net.convolution("conv1", blob, 12, 7, stride=2, pad=3, bias=False)
    net.batch_norm("bn_conv1", blob, "scale_conv1")
    net.relu("conv1_relu", blob)
    blob = net.pool("pool1", blob, "MAX", 3, 2)
    blob = _basic(net, "2a", blob, 12, 1)
    blob = _basic(net, "2b", blob, 12, 1)
    blob = _basic(net, "3a", blob, 16, 2)
    blob = _basic(net, "4a", blob, 20, 2)
    blob = net.global_pool("pool5", blob)
    blob = net.inner_product("fc1000", blob, 20)
    net.add("prob", "Softmax", blob)
    return net.text


def bottleneck() -> str:
    """A ResNet-50 of two stages: the first 1x1 has the stride; PReLU and a padded mean as well."""
    net = Writer("ResNet-50", "", filler='weight_filler { type: "msra" }')
    blob = net.input("data", (2, 3, 48, 48))
    blob = net.convolution("conv1", blob, 16, 7, stride=2, pad=3)
    net.batch_norm("bn_conv1", blob, "scale_conv1", eps=0.001)
    net.add("conv1_prelu", "PReLU", blob, "prelu_param { channel_shared: true }", blob)
    blob = net.pool("pool1", blob, "MAX", 3, 2)
    for unit, filters, stride in (("2a", 32, 1), ("3a", 48, 2)):
        short = _branch(net, unit, "branch1", blob, filters, 1, stride)
        top = _branch(net, unit, "branch2a", blob, filters // 4, 1, stride)
        net.relu(f"res{unit}_branch2a_relu", top)
        top = _branch(net, unit, "branch2b", top, filters // 4, 3)
        net.relu(f"res{unit}_branch2b_relu", top)
        top = _branch(net, unit, "branch2c", top, filters, 1)
        coeff = "eltwise_param { operation: SUM coeff: 1 coeff: 0.5 }"
        blob = net.add(f"res{unit}", "Eltwise", [short, top], coeff)
        net.relu(f"res{unit}_relu", blob)
    blob = net.pool("pool4", blob, "AVE", 3, 2, pad=1)
    blob = net.inner_product("fc", blob, 10)
    net.add("prob", "Softmax", blob)
    return net.text


def _inception(net: Writer, unit: str, bottom: str, sizes: tuple[int, ...]) -> str:
    one, three_in, three, five_in, five, pooled = sizes
    parts = []
    for part, chain in (
        ("1x1", [(one, 1)]),
        ("3x3", [(three_in, 1), (three, 3)]),
        ("5x5", [(five_in, 1), (five, 5)]),
    ):
        blob = bottom
        for place, (filters, kernel) in enumerate(chain):
            name = part if place == len(chain) - 1 else f"{part}_reduce"
            blob = net.convolution(
                f"inception_{unit}/{name}", blob, filters, kernel, pad=kernel // 2
            )
            net.relu(f"inception_{unit}/relu_{name}", blob)
        parts.append(blob)
    blob = net.pool(f"inception_{unit}/pool", bottom, "MAX", 3, 1, pad=1)
    blob = net.convolution(f"inception_{unit}/pool_proj", blob, pooled, 1)
    net.relu(f"inception_{unit}/relu_pool_proj", blob)
    return net.concat(f"inception_{unit}/output", [*parts, blob])


def googlenet() -> str:
    """GoogLeNet's stem and two of its modules; LRN stands after pooling in one place, before in
    the other."""
    net = Writer("GoogLeNet", "", filler=XAVIER)
    lrn = "lrn_param { local_size: 5 alpha: 0.01 beta: 0.75 }"
    blob = net.input("data", (2, 3, 64, 64))
    blob = net.convolution("conv1/7x7_s2", blob, 12, 7, stride=2, pad=3)
    net.relu("conv1/relu_7x7", blob)
    blob = net.pool("pool1/3x3_s2", blob, "MAX", 3, 2)
    blob = net.add("pool1/norm1", "LRN", blob, lrn)
    blob = net.convolution("conv2/3x3", blob, 16, 3, pad=1)
    net.relu("conv2/relu_3x3", blob)
    blob = net.add("conv2/norm2", "LRN", blob, lrn)
    blob = net.pool("pool2/3x3_s2", blob, "MAX", 3, 2)
    blob = _inception(net, "3a", blob, (8, 6, 8, 4, 8, 8))
    blob = _inception(net, "3b", blob, (8, 8, 12, 4, 8, 8))
    blob = net.pool("pool3/3x3_s2", blob, "AVE", 3, 2, pad=1)
    net.dropout("pool3/drop", blob, 0.4)
    blob = net.inner_product("loss3/classifier", blob, 10)
    net.add("prob", "Softmax", blob)
    return net.text


def fcn() -> str:
    """A score for every pixel: BatchNorm, dilation, a skip, upsampling, Crop."""
    net = Writer("FCN", "", filler='weight_filler { type: "msra" }')
    data = net.input("data", (1, 3, 45, 53))
    blob = net.convolution("conv1", data, 12, 3, pad=8)
    net.batch_norm("bn1", blob, "scale1", eps=0.001)
    net.add("prelu1", "PReLU", blob, "", blob)
    blob = net.pool("pool1", blob, "MAX", 2, 2)
    blob = net.add(
        "conv2", "Convolution", blob,
        f"convolution_param {{ num_output: 16 kernel_size: 3 pad: 2 dilation: 2 {net.filler} }}",
    )  # fmt: skip
    net.add("relu2", "ReLU", blob, "relu_param { negative_slope: 0.1 }", blob)
    skip = blob
    blob = net.pool("pool2", blob, "AVE", 3, 2, pad=1)
    blob = net.convolution("conv3", blob, 16, 3, pad=1)
    net.relu("relu3", blob)
    net.dropout("drop3", blob)
    score = net.convolution("score", blob, 5, 1)
    up2 = net.add(
        "upscore2", "Deconvolution", score,
        "convolution_param { num_output: 5 kernel_size: 4 stride: 2 group: 5 bias_term: false "
        'weight_filler { type: "bilinear" } }',
    )  # fmt: skip
    skipped = net.convolution("score_pool", skip, 5, 1)
    up2c = net.add("up2c", "Crop", [up2, skipped], "crop_param { axis: 2 offset: 1 }")
    fused = net.add(
        "fuse", "Eltwise", [up2c, skipped], "eltwise_param { operation: SUM coeff: 1 coeff: 0.3 }"
    )
    up = net.add(
        "upscore", "Deconvolution", fused,
        "convolution_param { num_output: 5 kernel_size: 4 stride: 2 pad: 1 bias_term: false "
        'weight_filler { type: "gaussian" std: 0.3 } }',
    )  # fmt: skip
    out = net.add("crop", "Crop", [up, data], "crop_param { axis: 2 offset: 7 offset: 9 }")
    net.add("prob", "Softmax", out)
    return net.text


def unet() -> str:
    """A small U-Net: dilation, PReLU, bilinear upsampling, Crop and a joined skip."""
    net = Writer("U-Net", "", filler='weight_filler { type: "msra" }')
    blob = net.convolution("down1", net.input("data", (1, 3, 38, 46)), 8, 3)
    net.add("down1_prelu", "PReLU", blob, "", blob)
    skip = blob
    blob = net.pool("pool1", blob, "MAX", 2, 2)
    blob = net.add(
        "down2", "Convolution", blob,
        f"convolution_param {{ num_output: 12 kernel_size: 3 pad: 2 dilation: 2 {net.filler} }}",
    )  # fmt: skip
    net.relu("down2_relu", blob)
    blob = net.add(
        "up1", "Deconvolution", blob,
        "convolution_param { num_output: 12 kernel_size: 4 stride: 2 pad: 1 group: 12 "
        'bias_term: false weight_filler { type: "bilinear" } }',
    )  # fmt: skip
    cropped = net.add("skip_crop", "Crop", [skip, blob], "crop_param { axis: 2 offset: 0 }")
    blob = net.concat("joined", [cropped, blob])
    blob = net.convolution("last", blob, 6, 3, pad=1)
    net.relu("last_relu", blob)
    blob = net.convolution("score", blob, 4, 1)
    net.add("crop", "Crop", [blob, net.input("like", (1, 1, 24, 30))],
            "crop_param { axis: 2 offset: 5 offset: 2 }")  # fmt: skip
    return net.text


ARCHITECTURES = {
    make.__name__: make
    for make in (lenet, caffenet, goturn, resnet18, bottleneck, googlenet, fcn, unet)
}


def reference(architecture: str, seed: int = 1701) -> CaffeNet:
    """The net in phase TEST with weights that look trained: biases, statistics and slopes vary.

    The statistics are those of the net itself on noise, times a count as Caffe stores them.
    """
    param = parse_text(ARCHITECTURES[architecture](), NetParameter)
    net = CaffeNet(param, "TEST", seed=seed)
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor, mean: float, spread: float) -> Tensor:
        return mean + spread * torch.randn(like.shape, generator=generator)

    inputs = {name: torch.randn(s, generator=generator) for name, s in net.inputs.items()}
    for step in net.steps:
        blobs = net.params.get(step.name, [])
        with torch.no_grad():
            if step.kind.name in ("Convolution", "InnerProduct") and len(blobs) > 1:
                blobs[1].copy_(normal(blobs[1], 0.05, 0.1))
            elif step.kind.name == "Scale":
                blobs[0].copy_(normal(blobs[0], 1, 0.2))
                blobs[1].copy_(normal(blobs[1], 0, 0.2))
            elif step.kind.name == "PReLU":
                blobs[0].copy_(normal(blobs[0], 0.25, 0.05))
            elif step.kind.name == "BatchNorm":
                _settle(net, step.name, step.bottoms[0], inputs, blobs)
    return net


def _settle(
    net: CaffeNet, layer: str, bottom: str, inputs: dict[str, Tensor], blobs: list[Tensor]
) -> None:
    """Give a BatchNorm the statistics of its bottom, stored as sums over a count."""
    before = next(s.name for s in net.steps if bottom in s.tops)
    value = net.run(inputs, until=before).blobs[bottom]
    count = float(np.float32(999.98236))
    blobs[0].copy_(value.mean((0, 2, 3)) * count)
    blobs[1].copy_(value.var((0, 2, 3)) * count)
    blobs[2].fill_(count)
