"""Repeated parts of nets as classes and loops."""

import re
from pathlib import Path

import pytest

from codegen.cases import build
from codegen.lint import assert_clean
from torchcaffe import proto
from torchcaffe.codegen import print_net
from torchcaffe.codegen.trial import construct, differences, module_outputs, trial
from torchcaffe.net import CaffeNet

NETS = Path(__file__).parent.parent / "nets"


def printed_source(name: str, blocks: bool = True) -> str:
    """The source of a published net, whose weights are not looked at."""
    param = proto.read_net(NETS / f"{name}.prototxt")
    net = CaffeNet(param, "TEST", unfilled=[layer.name for layer in param.layer])
    return print_net(net, blocks=blocks).source


EXPECTED = {
    "densenet121": [
        "class DenseLayer(nn.Module):",
        "def __init__(self, channels: int) -> None:",
        "nn.Sequential(*(DenseLayer(channels) for channels in range(64, 256, 32)))",
        "nn.Sequential(*(DenseLayer(channels) for channels in range(512, 1024, 32)))",
    ],
    "googlenet": [
        "class Inception(nn.Module):",
        "self.inception_3a = Inception(192, 64, 96, 128, 16, 32, 32)",
        "inception_5b = self.inception_5b(inception_5a)  # (N, 1024, 7, 7)",
    ],
    "inception_v3": [
        "class ConvBNReLU(nn.Module):",
        "kernel_size=(1, 7), padding=(0, 3))",
        "torch.cat((b1_conv1, b2_conv3, b3_conv5, b4_conv1), dim=1)",
    ],
    "mobilenet_v1": [
        "class DepthwiseSeparable(nn.Module):",
        "groups=channels",
        "self.block7 = DepthwiseSeparable(256, 512, stride=2)",
    ],
    "mobilenet_v2": [
        "class InvertedBottleneck(nn.Module):",
        "nn.Conv2d(channels, 6 * channels, kernel_size=1, bias=False)",
        "InvertedBottleneck(16, 24, stride=2)",
    ],
    "resnet18": [
        "class BasicBlock(nn.Module):",
        "BasicBlock(64, 128, stride=2, projection=True), BasicBlock(128, 128)",
    ],
    "resnet152": [
        "class Bottleneck(nn.Module):",
        "channels: int, width: int, stride: int = 1, projection: bool = False",
        ": nn.Module = nn.Identity()\n        if projection:\n",
        "nn.Conv2d(channels, 4 * width, kernel_size=1, stride=stride, bias=False)",
        "*(Bottleneck(1024, 256) for _ in range(35))",
    ],
    "siamese": [
        "class Tower(nn.Module):",
        "feat = self.tower(data)  # (N, 2)",
        "feat_p = self.tower(data_p)  # (N, 2)",
    ],
    "squeezenet_1.1": [
        "class Fire(nn.Module):",
        "self.fire9 = Fire(",
    ],
    "unet": ["class Block(nn.Module):"],
    "vgg16": [
        "class ConvReLU(nn.Module):",
        "nn.Sequential(ConvReLU(256, 512), *(ConvReLU(512, 512) for _ in range(2)))",
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_prints_blocks(name: str) -> None:
    source, flat = printed_source(name), printed_source(name, blocks=False)
    for part in EXPECTED[name]:
        assert part in source
    assert len(source.splitlines()) < len(flat.splitlines())


@pytest.mark.parametrize("name", ["lenet", "caffenet", "cifar10_quick", "autoencoder"])
def test_prints_flat_what_repeats_too_little(name: str) -> None:
    assert printed_source(name) == printed_source(name, blocks=False)


def test_the_sources_are_clean(tmp_path: Path) -> None:
    for path in NETS.glob("*.prototxt"):
        (tmp_path / path.stem).mkdir()
        (tmp_path / path.stem / "model.py").write_text(printed_source(path.stem))
    assert_clean(tmp_path)


# Small nets, run


def layer(name: str, kind: str, bottoms: str, top: str, body: str = "") -> str:
    listed = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {listed} top: "{top}" {body} }}\n'


def convolution(name: str, bottom: str, filters: int, kernel: int = 3, more: str = "") -> str:
    pad = kernel // 2
    body = f"convolution_param {{ num_output: {filters} kernel_size: {kernel} pad: {pad} {more} }}"
    return layer(name, "Convolution", bottom, name, body)


def head(channels: int = 4) -> str:
    return (
        f'name: "net" layer {{ name: "data" type: "Input" top: "data" '
        f"input_param {{ shape {{ dim: 2 dim: {channels} dim: 8 dim: 8 }} }} }}\n"
    )


def classes(source: str) -> list[str]:
    return re.findall(r"^class (\w+)", source, re.MULTILINE)


def assert_computes_the_same(prototxt: str, phase: str = "TEST") -> str:
    """With blocks as without; the source with them."""
    net = build(prototxt, phase)
    given, expected = trial(net)
    for blocks in (False, True):
        printed = print_net(net, blocks=blocks)
        model = construct(printed.source, printed.class_name)
        keys = {path for path, _ in printed.state.ties}
        missing, unexpected = model.load_state_dict(printed.state.tensors, strict=False)
        assert (set(missing), unexpected) == (keys, [])
        differences(module_outputs(model, net, printed, given), expected)
    return printed.source


def basic_block(index: int, bottom: str, filters: int, shortcut: str = "") -> tuple[str, str]:
    """Two convolutions beside a shortcut, under the names that pycaffe's NetSpec makes up."""
    number = 3 * index
    text, way = "", bottom
    if shortcut:
        way = f"Convolution{number}"
        text = convolution(way, bottom, filters, int(shortcut))
    first, second = f"Convolution{number + 1}", f"Convolution{number + 2}"
    text += convolution(first, bottom, filters)
    text += layer(f"ReLU{2 * index}", "ReLU", first, first)
    text += convolution(second, first, filters)
    text += layer(f"Eltwise{index}", "Eltwise", f"{way} {second}", f"Eltwise{index}")
    text += layer(f"ReLU{2 * index + 1}", "ReLU", f"Eltwise{index}", f"Eltwise{index}")
    return text, f"Eltwise{index}"


def residual_net(plan: list[tuple[int, str]]) -> str:
    text, blob = head(), "data"
    for index, (filters, shortcut) in enumerate(plan):
        more, blob = basic_block(index, blob, filters, shortcut)
        text += more
    return text


def test_blocks_without_telling_names() -> None:
    plan = [(4, ""), (4, ""), (8, "1"), (8, ""), (16, "1"), (16, "")]
    source = assert_computes_the_same(residual_net(plan))
    assert classes(source) == ["BasicBlock", "Net"]
    assert "self.conv2 = nn.Conv2d(filters, filters, kernel_size=3, padding=1)" in source
    assert "self.stage1 = nn.Sequential(*(BasicBlock(4, 4) for _ in range(2)))" in source
    assert "BasicBlock(4, 8, projection=True), BasicBlock(8, 8)" in source


def test_another_kind_of_shortcut_is_another_block() -> None:
    plan = [(4, ""), (8, "1"), (8, ""), (16, "3"), (16, ""), (16, "1"), (16, "1")]
    assert_computes_the_same(residual_net(plan))


def test_a_shortcut_that_all_have_is_no_option() -> None:
    plan = [(4, "1"), (8, "1"), (8, "1"), (16, "1"), (16, "1"), (32, "1")]
    source = assert_computes_the_same(residual_net(plan))
    assert "BasicBlock" in classes(source)[0] and "projection" not in source


def test_blocks_that_share_parameters_are_tied() -> None:
    """Blocks 0 and 1 share one of their two convolutions."""
    text, blob = head(), "data"
    for index in range(4):
        name = 'param { name: "shared" }' if index < 2 else ""
        text += convolution(f"b{index}/a", blob, 4).replace("} }\n", f"}} {name} }}\n")
        for before, after in ("ab", "bc", "cd"):
            text += convolution(f"b{index}/{after}", f"b{index}/{before}", 4)
            text += layer(f"b{index}/p{after}", "PReLU", f"b{index}/{after}", f"b{index}/{after}")
        blob = f"b{index}/d"
    source = assert_computes_the_same(text)
    assert classes(source)[-2:] == ["Block", "Net"]
    assert re.search(r"self\.\S+\.a\.weight = self\.\S+\.a\.weight\n", source)


def test_parts_that_share_some_parameters_only_are_no_tower() -> None:
    text = head()
    for side in ("", "_p"):
        shared = 'param { name: "w" }'
        text += convolution(f"conv1{side}", "data", 4).replace("} }\n", f"}} {shared} }}\n")
        text += convolution(f"conv2{side}", f"conv1{side}", 4)
    source = assert_computes_the_same(text)
    assert classes(source) == ["Net"]
    assert "self.conv1_p.weight = self.conv1.weight\n" in source
    assert "self.conv1_p.bias" not in source


def test_a_layer_that_shares_everything_is_applied_again() -> None:
    text = head()
    shared = 'param { name: "w" } param { name: "b" }'
    for name, bottom in (("one", "data"), ("two", "one"), ("three", "two")):
        text += convolution(name, bottom, 4).replace("} }\n", f"}} {shared} }}\n")
    source = assert_computes_the_same(text)
    assert "three = self.one(two)" in source or "return self.one(two)" in source
    assert source.count("nn.Conv2d") == 1


def test_several_outputs_inside_what_repeats_stay_visible() -> None:
    """A value in the middle of a block that is an output of the net is no part of a block."""
    text, blob = residual_net([(4, "")] * 6), "Convolution4"
    text += layer("pool", "Pooling", blob, "pool", "pooling_param { kernel_size: 2 }")
    source = assert_computes_the_same(text)
    assert '"pool": ' in source and "BasicBlock" in classes(source)


def test_dropout_draws_in_the_order_of_the_net() -> None:
    text, blob = head(), "data"
    for index in range(6):
        text += convolution(f"u{index}/a", blob, 4) + convolution(f"u{index}/b", blob, 4)
        for side in "ab":
            text += layer(
                f"u{index}/drop_{side}", "Dropout", f"u{index}/{side}", f"u{index}/{side}"
            )
        text += layer(f"u{index}/sum", "Eltwise", f"u{index}/a u{index}/b", f"u{index}/sum")
        blob = f"u{index}/sum"
    source = assert_computes_the_same(text, "TRAIN")
    assert len(classes(source)) == 2


def test_depths_of_recursion_do_not_matter() -> None:
    text, blob = head(), "data"
    for index in range(300):
        text += layer(f"relu{index}", "ReLU", blob, f"relu{index}")
        blob = f"relu{index}"
    assert_computes_the_same(text)
