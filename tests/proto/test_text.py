"""Prototxt: the syntax that Caffe's reader takes, and the words for what it refuses."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import any_message
from official import official_class

from torchcaffe.errors import ParseError
from torchcaffe.proto import encode, format_text, parse_text, parse_wire, read_text
from torchcaffe.proto.message import MESSAGES, Field, Message
from torchcaffe.proto.schema import (
    BlobProto,
    ConvolutionParameter,
    Datum,
    FillerParameter,
    NetParameter,
    PoolingParameter,
    SolverParameter,
)

GOLDENS = Path(__file__).parents[1] / "goldens"
NET = """\
# a comment
name: "tiny"  # and another
layer {
  name: 'conv'
  type: "Convolution"
  convolution_param: < num_output: 4 kernel_size: [3, 5]; stride: 2, >
}
"""


def test_messages_and_fields_know_their_places() -> None:
    net = parse_text(NET, NetParameter, "deploy.prototxt")
    layer = net.layer[0]
    assert str(net.where()) == "deploy.prototxt:1:1"
    assert str(net.where("name")) == "deploy.prototxt:2:1"
    assert str(layer.where()) == "deploy.prototxt:3:1"
    assert str(layer.where("type")) == "deploy.prototxt:5:3"
    assert str(layer.convolution_param.where("stride")) == "deploy.prototxt:6:59"
    assert str(layer.where("bottom")) == "deploy.prototxt:3:1"
    assert layer.convolution_param.kernel_size == [3, 5]


VALUES: dict[str, tuple[type[Message], str, str, Any]] = {
    "decimal": (PoolingParameter, "kernel_size: 10", "kernel_size", 10),
    "hexadecimal": (PoolingParameter, "kernel_size: 0x1F", "kernel_size", 31),
    "octal": (PoolingParameter, "kernel_size: 017", "kernel_size", 15),
    "zero": (PoolingParameter, "kernel_size: 0", "kernel_size", 0),
    "negative": (FillerParameter, "sparse: -1", "sparse", -1),
    "negative-apart": (FillerParameter, "sparse: - 1", "sparse", -1),
    "smallest": (FillerParameter, "sparse: -2147483648", "sparse", -(2**31)),
    "largest": (PoolingParameter, "pad: 4294967295", "pad", 2**32 - 1),
    "int64": (SolverParameter, "random_seed: -9223372036854775808", "random_seed", -(2**63)),
    "float-of-int": (FillerParameter, "value: 3", "value", 3.0),
    "float-no-zero": (FillerParameter, "value: .5", "value", 0.5),
    "float-no-digits": (FillerParameter, "value: 5.", "value", 5.0),
    "float-exponent": (FillerParameter, "value: -1e-3", "value", float(np.float32(-1e-3))),
    "float-suffix": (FillerParameter, "value: 1.5f", "value", 1.5),
    "float-int-suffix": (FillerParameter, "value: 2F", "value", 2.0),
    "float-inf": (FillerParameter, "value: -inf", "value", -math.inf),
    "float-infinity": (FillerParameter, "value: Infinity", "value", math.inf),
    "float-overflow": (FillerParameter, "value: 1e40", "value", math.inf),
    "float-rounded": (FillerParameter, "value: 0.1", "value", float(np.float32(0.1))),
    "true": (ConvolutionParameter, "bias_term: true", "bias_term", True),
    "True": (ConvolutionParameter, "bias_term: True", "bias_term", True),
    "t": (ConvolutionParameter, "bias_term: t", "bias_term", True),
    "one": (ConvolutionParameter, "bias_term: 1", "bias_term", True),
    "false": (ConvolutionParameter, "bias_term: False", "bias_term", False),
    "f": (ConvolutionParameter, "bias_term: f", "bias_term", False),
    "zero-is-false": (ConvolutionParameter, "bias_term: 0", "bias_term", False),
    "enum-name": (PoolingParameter, "pool: AVE", "pool", "AVE"),
    "enum-number": (PoolingParameter, "pool: 2", "pool", "STOCHASTIC"),
    "adjacent": (NetParameter, 'name: "a" \'b\'\n"c"', "name", "abc"),
    "quotes": (NetParameter, "name: 'a\"b'", "name", 'a"b'),
    "hash-inside": (NetParameter, 'name: "a#b"', "name", "a#b"),
    "escapes": (NetParameter, r'name: "\a\b\f\n\r\t\v\\\?\'\""', "name", "\a\b\f\n\r\t\v\\?'\""),
    "octal-escape": (NetParameter, r'name: "\1018\0"', "name", "A8\0"),
    "hex-escape": (NetParameter, r'name: "\x41g\x9"', "name", "Ag\t"),
    "u-escape": (NetParameter, r'name: "\u00e9\U0001F600"', "name", "é\U0001f600"),
    "surrogate-pair": (NetParameter, r'name: "\ud83d\ude00"', "name", "\U0001f600"),
    "utf-8": (NetParameter, 'name: "é"', "name", "é"),
    "utf-8-escaped": (NetParameter, r'name: "\303\251"', "name", "é"),
    "not-utf-8-escaped": (NetParameter, r'name: "\377"', "name", "\udcff"),
    "bytes": (Datum, r'data: "\000\377é"', "data", b"\0\xff\xc3\xa9"),
    "empty-list": (NetParameter, "input_dim: []", "input_dim", []),
    "list": (NetParameter, "input_dim: [1, -2] input_dim: 3", "input_dim", [1, -2, 3]),
    "list-of-strings": (NetParameter, "input: ['a', 'b' 'c']", "input", ["a", "bc"]),
    "crlf": (NetParameter, 'name: "a"\r\nforce_backward: true\r\n', "name", "a"),
}


@pytest.mark.parametrize(
    ("message_class", "text", "name", "value"), VALUES.values(), ids=list(VALUES)
)
def test_values(message_class: type[Message], text: str, name: str, value: Any) -> None:
    message = parse_text(text, message_class)
    assert message.has(name) == (value != [])
    assert getattr(message, name) == value


def test_nan_and_arrays() -> None:
    assert math.isnan(parse_text("value: -NaN", FillerParameter).value)
    blob = parse_text("data: [1, 2.5] data: -3f", BlobProto)
    assert blob.data.dtype == np.float32
    assert blob.data.tolist() == [1.0, 2.5, -3.0]


def test_lists_of_messages() -> None:
    net = parse_text("input_shape: [{dim: 1}, <dim: 2>] input_shape { }", NetParameter)
    assert [shape.dim for shape in net.input_shape] == [[1], [2], []]


def test_comments_may_be_in_any_encoding() -> None:
    raw = '# 卷积\nname: "a"'.encode("gbk")
    assert parse_text(raw.decode("utf-8", "surrogateescape"), NetParameter).name == "a"


def _conv(inside: str) -> str:
    return f"layer {{\n  name: 'c'\n  convolution_param {{\n    {inside}\n  }}\n}}"


REFUSED: dict[str, tuple[str, str]] = {
    "misspelt": (
        _conv("kernal_size: 3"),
        '4:5: unknown field "kernal_size" in ConvolutionParameter. Did you mean "kernel_size"?',
    ),
    "misspelt-message": (
        "layer { poolng_param { } }",
        '1:9: unknown field "poolng_param" in LayerParameter. Did you mean "pooling_param"?',
    ),
    "of-a-fork": (
        "layer { permute_param { } }",
        '1:9: unknown field "permute_param" in LayerParameter; if a layer of your own reads it, '
        "register it first (torchcaffe.register_layer)",
    ),
    "capitals": ("Name: 'a'", '1:1: unknown field "Name" in NetParameter. Did you mean "name"?'),
    "one-level-up": (
        "layer { kernel_size: 3 }",
        '1:9: unknown field "kernel_size" in LayerParameter; "kernel_size" belongs inside '
        "convolution_param or pooling_param.",
    ),
    "a-solver": (
        "base_lr: 1",
        '1:1: unknown field "base_lr" in NetParameter; it is a field of a solver, is this the '
        "right file?",
    ),
    "twice": (
        'name: "a"\nname: "b"',
        '2:1: field "name" of NetParameter may be given once; it stands at line 1 already.',
    ),
    "message-twice": (
        _conv("num_output: 1 } convolution_param {"),
        '4:21: field "convolution_param" of LayerParameter may be given once; '
        "it stands at line 3 already.",
    ),
    "no-colon": ('name "a"', '1:6: expected ":" after "name", got "a".'),
    "string-for-number": (
        _conv('num_output: "3"'),
        '4:17: ConvolutionParameter.num_output takes an integer of 0 or more, got "3".',
    ),
    "float-for-integer": (
        _conv("num_output: 3.0"),
        '4:17: ConvolutionParameter.num_output takes an integer of 0 or more, got "3.0".',
    ),
    "negative-for-unsigned": (
        _conv("num_output: -3"),
        '4:17: ConvolutionParameter.num_output takes an integer of 0 or more, got "-".',
    ),
    "too-large": (
        _conv("num_output: 4294967296"),
        "4:17: ConvolutionParameter.num_output takes uint32 (0 to 4294967295), got 4294967296.",
    ),
    "too-small": (
        "input_dim: -2147483649",
        "1:12: NetParameter.input_dim takes int32 (-2147483648 to 2147483647), got -2147483649.",
    ),
    "enormous": (
        "input_dim: 1" + "0" * 9999,
        "1:12: NetParameter.input_dim takes int32 (-2147483648 to 2147483647), got 1000",
    ),
    "number-for-string": ("name: 3", '1:7: NetParameter.name takes a string in quotes, got "3".'),
    "word-for-string": ("name: abc", '1:7: NetParameter.name takes a string in quotes, got "abc".'),
    "word-for-number": (
        "layer { loss_weight: one }",
        '1:22: LayerParameter.loss_weight takes a number, got "one".',
    ),
    "hexadecimal-float": (
        "layer { loss_weight: 0x10 }",
        '1:22: LayerParameter.loss_weight takes a decimal number, got "0x10".',
    ),
    "two-for-true": (
        "force_backward: 2",
        '1:17: NetParameter.force_backward takes true or false, got "2".',
    ),
    "TRUE": (
        "force_backward: TRUE",
        '1:17: NetParameter.force_backward takes true or false, got "TRUE".',
    ),
    "enum-name": (
        "layer { pooling_param { pool: MX } }",
        "1:31: PoolingParameter.pool takes one of MAX, AVE, STOCHASTIC; "
        'got "MX". Did you mean "MAX"?',
    ),
    "enum-number": (
        "layer { pooling_param { pool: -1 } }",
        '1:31: PoolingParameter.pool takes one of MAX, AVE, STOCHASTIC; got "-1".',
    ),
    "enum-string": (
        "layer { pooling_param { pool: 'MAX' } }",
        "1:31: PoolingParameter.pool takes a name or a number, got 'MAX'.",
    ),
    "scalar-for-message": (
        "layer: 3",
        '1:8: expected "{" to begin the LayerParameter "layer", got "3".',
    ),
    "message-for-scalar": ("name { }", '1:6: expected ":" after "name", got "{".'),
    "list-for-singular": (
        "name: ['a']",
        '1:7: NetParameter.name takes a string in quotes, got "["',
    ),
    "list-ends-in-comma": (
        "input_dim: [1,]",
        '1:15: NetParameter.input_dim takes an integer, got "]"',
    ),
    "list-without-comma": (
        "input_dim: [1 2]",
        '1:15: expected "," or "]" in the list "input_dim", got "2".',
    ),
    "two-separators": ("name: 'a';;", '1:11: expected a field name in NetParameter, got ";".'),
    "not-closed": (
        "layer {\n  name: 'a'\n",
        '3:1: expected a field name or "}" in LayerParameter, got the end of the file; '
        "it begins at line 1.",
    ),
    "wrong-closing": (
        "layer { >",
        '1:9: expected a field name or "}" in LayerParameter, got ">".',
    ),
    "closed-too-often": ("}", '1:1: expected a field name in NetParameter, got "}".'),
    "string-not-closed": ('name: "abc\n"', '1:7: the string has no closing " on its line.'),
    "unknown-escape": (r"name: 'a\q'", r'1:9: unknown escape "\q".'),
    "hex-escape": (r"name: '\xg'", r'1:8: unknown escape "\x".'),
    "beyond-unicode": (r"name: '\U00110000'", r'1:8: unknown escape "\U".'),
    "octal": ("input_dim: 08", '1:12: "08" is not a number; a leading 0 makes the number octal'),
    "number-then-letter": ("input_dim: 5x", '1:12: "5x" is not a number.'),
    "two-points": ("input_dim: 1.2.3", '1:12: "1.2.3" is not a number.'),
    "no-exponent": ("input_dim: 1e", '1:12: "1e" is not a number.'),
    "plus": ("input_dim: +1", '1:12: NetParameter.input_dim takes an integer, got "+".'),
    "not-utf-8": (
        "name: '\udcff'",
        "1:8: byte 0xff, which is not UTF-8, in a string.",
    ),
    "control-character": (
        "\x01",
        "1:1: the character U+0001 may stand only in a string or a comment.",
    ),
    "other-letters": (
        "é: 1",
        "1:1: the character U+00E9 may stand only in a string or a comment.",
    ),
    "byte-order-mark": (
        "\ufeffname: 'a'",
        "1:1: the file starts with a UTF-8 byte order mark, which Caffe refuses; save it as",
    ),
    "required": (
        "layer {\n clip_param { min: 1 } }",
        '2:2: ClipParameter lacks its required field "max".',
    ),
    "extension": ("[a.b]: 1", '1:1: expected a field name in NetParameter, got "[".'),
    "number-for-name": ("1: 'a'", '1:1: expected a field name in NetParameter, got "1".'),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=list(REFUSED))
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ParseError) as raised:
        parse_text(text, NetParameter, "net.prototxt")
    assert str(raised.value).startswith(f"net.prototxt:{words}")


def test_nesting_is_limited() -> None:
    class Nested(Message):
        inside: Message = Field(1, "message", of="Nested")  # type: ignore[assignment]

    try:
        with pytest.raises(ParseError, match=r"^<string>:1:808: messages are nested more than 100"):
            parse_text("inside {" * 5000, Nested)
        with pytest.raises(ParseError, match="is damaged: messages are nested more than 100 deep"):
            parse_wire(_nested_bytes(5000), Nested)
    finally:
        del MESSAGES["Nested"]


def _nested_bytes(depth: int) -> bytes:
    raw = b""
    for _ in range(depth):
        length = bytes([len(raw) & 0x7F | 0x80, len(raw) >> 7 & 0x7F | 0x80, len(raw) >> 14])
        raw = b"\x0a" + length + raw
    return raw


@given(st.text(alphabet="layername{}<>[]:;,\"'\\#-.0123456789exf \n\t", max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        net = parse_text(text, NetParameter)
    except ParseError:
        return
    theirs = text_format.Parse(text, official_class("NetParameter")())
    assert encode(net) == theirs.SerializeToString(deterministic=True)


@st.composite
def _spelt(draw: st.DrawFn) -> tuple[Message, str]:
    """A message, and a text of it in which every choice of the syntax is drawn."""
    message = draw(any_message)
    return message, _spell(draw, message)


def _spell(draw: st.DrawFn, message: Message) -> str:
    parts = []
    for field, value in message.present():
        items = [_spell_one(draw, field, item) for item in (value if field.repeated else [value])]
        colon = draw(st.sampled_from([":", " : "] if field.kind != "message" else [":", "", "\n"]))
        end = draw(st.sampled_from([" ", "\n", ";", ", ", " # note\n", "\t;#\n"]))
        if field.repeated and draw(st.booleans()):
            parts.append(f"{field.name}{colon or ':'}[{', '.join(items)}]{end}")
        else:
            parts += [f"{field.name}{colon}{item}{end}" for item in items]
    return "".join(parts)


def _spell_one(draw: st.DrawFn, field: Field, value: Any) -> str:
    if field.kind == "message":
        opening, closing = draw(st.sampled_from(["{}", "<>"]))
        return f" {opening} {_spell(draw, value)} {closing}"
    if field.enum is not None and draw(st.booleans()):
        return str(field.enum.numbers[value])
    if field.kind in ("int32", "int64", "uint32"):
        form = draw(st.sampled_from(["{}", "{:#x}"]))
        return form.format(value)
    if field.kind in ("string", "bytes"):
        raw = value if field.kind == "bytes" else value.encode()
        quote = draw(st.sampled_from("\"'"))
        cut = draw(st.integers(0, len(raw)))
        escaped = ["".join(f"\\{byte:03o}" for byte in part) for part in (raw[:cut], raw[cut:])]
        return f"{quote}{escaped[0]}{quote}{quote}{escaped[1]}{quote}"
    if field.kind == "bool":
        return "True" if value else "f"
    return str(value) if field.enum is not None else repr(float(value))


@given(_spelt())
@settings(max_examples=300, deadline=None)
def test_every_spelling_reads_the_same(spelt: tuple[Message, str]) -> None:
    message, text = spelt
    again = parse_text(text, type(message))
    theirs = text_format.Parse(text, official_class(type(message).__name__)())
    assert encode(again) == theirs.SerializeToString(deterministic=True)
    assert format_text(again) == format_text(message)


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        words = r"no\.prototxt does not exist; a text NetParameter was expected there\.$"
        with pytest.raises(ParseError, match=words):
            read_text(tmp_path / "no.prototxt", NetParameter)

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ParseError, match="is a folder; a text NetParameter was expected there"):
            read_text(tmp_path, NetParameter)

    def test_other_kinds_are_recognised(self, tmp_path: Path) -> None:
        words = r"is a binary file, not a text NetParameter \(prototxt\)\.$"
        with pytest.raises(ParseError, match=words):
            read_text(GOLDENS / "solvers/adam/tiny_iter_20.caffemodel", NetParameter)
        path = tmp_path / "net.prototxt"
        path.write_text('name: "a"', "utf-16")
        with pytest.raises(ParseError, match=r"is UTF-16 text \(save it as UTF-8\), not a text"):
            read_text(path, NetParameter)

    def test_no_path(self) -> None:
        with pytest.raises(ParseError, match="is not a path"):
            read_text("a\0b", NetParameter)

    def test_place_names_the_path(self, tmp_path: Path) -> None:
        path = tmp_path / "net.prototxt"
        path.write_text("\nlayr { }")
        with pytest.raises(ParseError) as raised:
            read_text(path, NetParameter)
        assert str(raised.value) == (
            f'{path}:2:1: unknown field "layr" in NetParameter. Did you mean "layer"?'
        )

    def test_empty_file_is_an_empty_message(self, tmp_path: Path) -> None:
        path = tmp_path / "net.prototxt"
        path.touch()
        assert read_text(path, NetParameter) == NetParameter()
