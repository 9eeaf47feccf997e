import pytest

from torchcaffe.codegen.labels import find_labels, stage


@pytest.mark.parametrize(
    ("names", "blocks", "parts"),
    [
        (
            [["fire2/squeeze1x1", "fire2/concat"], ["fire3/squeeze1x1", "fire3/concat"]],
            ["fire2", "fire3"],
            ["squeeze1x1", "concat"],
        ),
        (
            [
                ["res2a_branch2a", "bn2a_branch2a", "res2a"],
                ["res3b12_branch2a", "bn3b12_branch2a", "res3b12"],
            ],
            ["2a", "3b12"],
            ["res_branch2a", "bn_branch2a", "res"],
        ),
        (
            [["res2a_branch2a", "bn2a_branch2a"], ["res3a_branch2a", "bn3a_branch2a"]],
            ["2a", "3a"],
            ["res_branch2a", "bn_branch2a"],
        ),
        (
            [
                ["conv_stage0_block0_a", "sum_stage0_block0"],
                ["conv_stage1_block2_a", "sum_stage1_block2"],
            ],
            ["stage0_block0", "stage1_block2"],
            ["conv_a", "sum"],
        ),
        (
            [["conv2_1/dw", "relu2_1/dw"], ["conv2_2/dw", "relu2_2/dw"], ["conv6/dw", "relu6/dw"]],
            ["2_1", "2_2", "6"],
            ["conv_dw", "relu_dw"],
        ),
        ([["conv1", "conv2"], ["conv1_p", "conv2_p"]], ["", "_p"], ["conv1", "conv2"]),
        (
            [["conv_d0a", "relu_d0b"], ["conv_u3a", "relu_u3b"]],
            ["d0", "u3"],
            ["conv_a", "relu_b"],
        ),
    ],
)
def test_finds_the_label_that_runs_through(
    names: list[list[str]], blocks: list[str], parts: list[str]
) -> None:
    found = find_labels(names)
    assert found is not None
    assert (found.blocks, found.parts) == (blocks, parts)


@pytest.mark.parametrize(
    "names",
    [
        [["Convolution1", "Convolution2"], ["Convolution3", "Convolution4"]],
        [["a", "b"], ["c", "d"]],
        [["conv1", "relu1"], ["conv1", "relu1"]],
    ],
)
def test_finds_none_where_names_do_not_agree(names: list[list[str]]) -> None:
    assert find_labels(names) is None


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("2a", "2"),
        ("3b12", "3"),
        ("stage0_block1", "stage0"),
        ("5_1", "5"),
        ("inception_3a", "inception_3"),
        ("fire2", ""),
        ("conv1_3x3_s2", ""),
        ("", ""),
    ],
)
def test_stages(label: str, expected: str) -> None:
    assert stage(label) == expected
