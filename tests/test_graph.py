"""Rules, splits and backward needs, as Caffe's own construction has them."""

import pytest

from torchcaffe import proto
from torchcaffe.errors import NetError
from torchcaffe.graph import filter_layers, insert_splits, merged_state
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter, NetParameter

IP = "inner_product_param { num_output: 3 }"


def parse(text: str) -> NetParameter:
    return proto.parse_text(text, NetParameter, "net.prototxt")


def names(layers: list[LayerParameter]) -> list[str]:
    return [layer.name for layer in layers]


@pytest.mark.parametrize(
    ("rule", "phase", "level", "stages", "kept"),
    [
        ("", "TRAIN", 0, [], True),
        ("include { phase: TEST }", "TRAIN", 0, [], False),
        ("include { phase: TRAIN } include { stage: 'x' }", "TEST", 0, ["x"], True),
        ("include { stage: 'a' stage: 'b' }", "TEST", 0, ["a"], False),
        ("include { stage: 'a' stage: 'b' }", "TEST", 0, ["b", "a"], True),
        ("include { min_level: 1 }", "TEST", 0, [], False),
        ("include { min_level: 1 max_level: 2 }", "TEST", 2, [], True),
        ("include { max_level: 2 }", "TEST", 3, [], False),
        ("include { not_stage: 'a' }", "TEST", 0, ["a"], False),
        ("include { }", "TEST", 0, [], True),
        ("exclude { }", "TEST", 0, [], False),
        ("exclude { phase: TRAIN stage: 'a' }", "TRAIN", 0, [], True),
        ("exclude { phase: TRAIN stage: 'a' }", "TRAIN", 0, ["a"], False),
    ],
)
def test_rules(rule: str, phase: str, level: int, stages: list[str], kept: bool) -> None:
    net = parse(f'layer {{ name: "l" type: "Silence" {rule} }}')
    assert bool(filter_layers(net, merged_state(net, phase, level, stages))) == kept


def test_the_state_of_the_file_gives_its_stages_and_loses_its_level() -> None:
    net = parse('state { phase: TRAIN level: 4 stage: "a" }')
    state = merged_state(net, "TEST", 0, ["b"])
    assert (state.phase, state.level, state.stage) == ("TEST", 0, ["a", "b"])
    assert merged_state(net, None).phase == "TRAIN"


def test_include_and_exclude_together_are_refused() -> None:
    net = parse('layer { name: "l" type: "Silence" include { } exclude { } }')
    with pytest.raises(NetError, match="has include rules and exclude rules"):
        filter_layers(net, merged_state(net, "TEST"))


def test_splits_are_named_and_placed_as_caffe_does() -> None:
    layers = parse(
        'layer { name: "data" type: "Input" top: "data" }'
        f'layer {{ name: "a" type: "InnerProduct" bottom: "data" top: "a" {IP} }}'
        f'layer {{ name: "b" type: "InnerProduct" bottom: "data" top: "b" {IP} }}'
        'layer { name: "relu" type: "ReLU" bottom: "b" top: "b" }'
        'layer { name: "c" type: "Eltwise" bottom: "b" bottom: "b" bottom: "a" top: "c" }'
    ).layer
    result = insert_splits(layers)
    assert names(result) == [
        "data", "data_data_0_split", "a", "b", "relu", "b_relu_0_split", "c",
    ]  # fmt: skip
    assert result[1].top == ["data_data_0_split_0", "data_data_0_split_1"]
    assert result[2].bottom == ["data_data_0_split_0"]
    assert result[6].bottom == ["b_relu_0_split_0", "b_relu_0_split_1", "a"]
    assert result[4].bottom == ["b"], "in place after its only producer"


def test_a_loss_weight_counts_as_a_reader_and_moves_to_the_split() -> None:
    layers = parse(
        'layer { name: "x" type: "Input" top: "x" }'
        'layer { name: "r" type: "Reduction" bottom: "x" top: "r" loss_weight: 0.5 }'
        'layer { name: "p" type: "Power" bottom: "r" top: "p" }'
    ).layer
    result = insert_splits(layers)
    assert names(result) == ["x", "r", "r_r_0_split", "p"]
    assert result[1].loss_weight == []
    assert result[2].loss_weight == [0.5, 0.0]
    assert result[3].bottom == ["r_r_0_split_1"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            'layer { name: "l" type: "ReLU" bottom: "dada" top: "y" }',
            'net.prototxt:2: layer "l" (ReLU): bottom "dada" is not the top of any earlier layer. '
            'Did you mean "data"?',
        ),
        (
            'layer { name: "l" type: "ReLU" bottom: "z" top: "y" }\n'
            'layer { name: "m" type: "ReLU" bottom: "y" top: "z" }',
            'Layer "m" makes it, but only later',
        ),
        (
            'layer { name: "l" type: "ReLU" bottom: "data" top: "y" }\n'
            'layer { name: "m" type: "Sigmoid" bottom: "data" top: "y" }',
            'layer "m" (Sigmoid): top "y" is made by an earlier layer already',
        ),
        (
            'layer { name: "l" type: "Power" bottom: "data" top: "y" }\n'
            'layer { name: "m" type: "ReLU" bottom: "data" top: "data" }',
            "made by an earlier layer already",
        ),
        (
            'layer { name: "l" type: "Relu" bottom: "data" top: "y" }',
            'layer "l" (Relu): type "Relu" is not a layer torchcaffe knows. Did you mean "ReLU"?',
        ),
        (
            'layer { name: "l" type: "Foo" bottom: "data" top: "y" }\n'
            'layer { name: "m" type: "Bar" bottom: "y" top: "z" }',
            "In this net, unknown are: Bar (1x), Foo (1x).",
        ),
        (
            'layer { name: "l" type: "Data" top: "y" }',
            'layer "l" (Data): reads its data from a source, and has none; give one, or give the '
            'net "y" as inputs instead',
        ),
        (
            'layer { name: "l" type: "ReLU" bottom: "data" top: "y" loss_weight: 1 '
            "loss_weight: 2 }",
            "has 2 loss_weight entries for 1 tops",
        ),
        (
            'layer { name: "l" type: "ReLU" bottom: "data" top: "y" param { lr_mult: 1 } }',
            "has 1 param entries for 0 parameter blobs",
        ),
        (
            'layer { name: "l" type: "ReLU" bottom: "data" top: "y" propagate_down: true '
            "propagate_down: true }",
            "has 2 propagate_down entries for 1 bottoms",
        ),
    ],
)
def test_refusals(body: str, words: str) -> None:
    net = parse(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
        + body
    )
    with pytest.raises(NetError) as caught:
        CaffeNet(net, "TEST")
    assert words in str(caught.value)


def test_outputs_are_in_the_order_of_their_bytes() -> None:
    net = CaffeNet(
        parse(
            'layer { name: "i" type: "Input" top: "zeta" top: "beta" top: "Alpha" '
            "input_param { shape { dim: 1 } } }"
        ),
        "TEST",
    )
    assert net.outputs == ["Alpha", "beta", "zeta"]
