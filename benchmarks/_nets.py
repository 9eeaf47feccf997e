"""The nets that the benchmarks run, as deploy prototxts with published sizes."""

from __future__ import annotations


def _conv(name: str, bottom: str, top: str, spec: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top}" '
        f'convolution_param {{ {spec} weight_filler {{ type: "gaussian" std: 0.01 }} }} }}\n'
        f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{top}" top: "{top}" }}\n'
    )


def _pool(name: str, bottom: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}" '
        f"pooling_param {{ pool: MAX kernel_size: 3 stride: 2 }} }}\n"
    )


def _norm(name: str, bottom: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "LRN" bottom: "{bottom}" top: "{name}" '
        f"lrn_param {{ local_size: 5 alpha: 0.0001 beta: 0.75 }} }}\n"
    )


def _fc(name: str, bottom: str, outputs: int, relu: bool = True) -> str:
    text = (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f"inner_product_param {{ num_output: {outputs} "
        f'weight_filler {{ type: "gaussian" std: 0.005 }} }} }}\n'
    )
    if relu:
        text += f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'
    return text


def _input(name: str, size: int) -> str:
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }} }} }}\n"
    )


def _tower(bottom: str, suffix: str = "") -> str:
    """CaffeNet's five convolutions."""
    s = suffix
    return (
        _conv(f"conv1{s}", bottom, f"conv1{s}", "num_output: 96 kernel_size: 11 stride: 4")
        + _pool(f"pool1{s}", f"conv1{s}")
        + _norm(f"norm1{s}", f"pool1{s}")
        + _conv(
            f"conv2{s}", f"norm1{s}", f"conv2{s}", "num_output: 256 pad: 2 kernel_size: 5 group: 2"
        )
        + _pool(f"pool2{s}", f"conv2{s}")
        + _norm(f"norm2{s}", f"pool2{s}")
        + _conv(f"conv3{s}", f"norm2{s}", f"conv3{s}", "num_output: 384 pad: 1 kernel_size: 3")
        + _conv(
            f"conv4{s}", f"conv3{s}", f"conv4{s}", "num_output: 384 pad: 1 kernel_size: 3 group: 2"
        )
        + _conv(
            f"conv5{s}", f"conv4{s}", f"conv5{s}", "num_output: 256 pad: 1 kernel_size: 3 group: 2"
        )
        + _pool(f"pool5{s}", f"conv5{s}")
    )


def caffenet() -> str:
    """CaffeNet: 61 million parameters."""
    return (
        'name: "CaffeNet"\n'
        + _input("data", 227)
        + _tower("data")
        + _fc("fc6", "pool5", 4096)
        + _fc("fc7", "fc6", 4096)
        + _fc("fc8", "fc7", 1000, relu=False)
        + 'layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }\n'
    )


def goturn() -> str:
    """GOTURN: two towers and four layers on top, 114 million parameters."""
    return (
        'name: "GOTURN"\n'
        + _input("target", 227)
        + _input("image", 227)
        + _tower("target")
        + _tower("image", "_p")
        + 'layer { name: "concat" type: "Concat" bottom: "pool5" bottom: "pool5_p" top: "both" }\n'
        + _fc("fc6", "both", 4096)
        + _fc("fc7", "fc6", 4096)
        + _fc("fc7b", "fc7", 4096)
        + _fc("fc8", "fc7b", 4, relu=False)
    )
