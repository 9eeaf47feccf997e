import ast
import io
import keyword
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchcaffe.codegen.names import (
    LONGEST,
    Names,
    class_name,
    identifier,
    quote,
    safe_text,
    short_kind,
    snake,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1", "conv1"),
        ("conv1/7x7_s2", "conv1_7x7_s2"),
        ("1x1", "conv1x1"),
        ("class", "class_"),
        ("  ", "conv"),
        ("crème brûlée", "creme_brulee"),
        ("λ", "conv"),
        ('"; import os', "import_os"),
        ("a\nb", "a_b"),
        ("__init__", "init"),
        ("x" * 99, "x" * LONGEST),
        ("1x1/conv", "conv1x1_conv"),
    ],
)
def test_identifiers(text: str, expected: str) -> None:
    assert identifier(text, "conv") == expected


@given(st.text())
def test_every_text_gives_an_identifier(text: str) -> None:
    for fallback in ("layer", "x"):
        name = identifier(text, fallback)
        assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name)
        assert len(name) <= LONGEST + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open-nsfw resnet 50", "OpenNsfwResnet50"),
        ("ResNet_50_1by2_nsfw", "ResNet50_1by2Nsfw"),
        ("LeNet", "LeNet"),
        ("", "Net"),
        ("网络", "Net"),
        ("3d", "Net3d"),
        ("none", "None_"),
        ('"""; import os', "ImportOs"),
    ],
)
def test_class_names(text: str, expected: str) -> None:
    assert class_name(text) == expected


@given(st.text())
def test_every_text_gives_a_class_name(text: str) -> None:
    name = class_name(text)
    assert name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


@given(st.text() | st.text(alphabet="'\"\\\n{}#"))
def test_a_quoted_text_is_itself_again(text: str) -> None:
    assert ast.literal_eval(quote(text)) == text
    (token, *_) = tokenize.generate_tokens(io.StringIO(quote(text)).readline)
    assert token.type == tokenize.STRING and token.string == quote(text)


def test_quotes_are_those_that_need_fewer_escapes() -> None:
    assert quote("a'b") == '"a\'b"'
    assert quote('a"b') == "'a\"b'"
    assert quote("a\"'b") == '"a\\"\'b"'
    assert quote('a""\'b') == "'a\"\"\\'b'"


@given(st.text())
def test_safe_text_can_stand_in_a_docstring(text: str) -> None:
    safe = safe_text(text)
    assert ast.literal_eval(f'"""{safe}"""') == safe
    assert "\n" not in safe and safe.isascii() and len(safe) <= LONGEST


def test_names_are_handed_out_once() -> None:
    names = Names(["type"])
    assert [names.unique(name) for name in ("a", "a", "a_2", "a", "type", "type")] == [
        *("a", "a_2", "a_2_2", "a_3", "type_", "type__2")
    ]
    assert names.unique("Block", joint="") == "Block"
    assert names.unique("Block", joint="") == "Block2"


def test_kinds_in_short() -> None:
    kinds = ["Convolution", "InnerProduct", "BatchNorm", "ReLU", "Sigmoid", "ConvBNReLU", "MVN"]
    shorts = ["conv", "fc", "bn", "relu", "sigmoid", "conv", "mvn"]
    assert [short_kind(kind) for kind in kinds] == shorts


def test_snake() -> None:
    assert snake("ConvBNReLU") == "conv_bn_relu"
    assert snake("DenseLayer") == "dense_layer"


def test_tokens() -> None:
    assert tokens("fire2/squeeze1x1") == ["fire", "2", "/", "squeeze", "1", "x", "1"]
