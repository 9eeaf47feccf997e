"""Ours and the official protobuf package agree, byte for byte, on messages of every class."""

import re
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import any_message, messages
from official import official_class, to_official
from test_schema import BINARIES, GOLDENS

from torchcaffe.errors import ParseError
from torchcaffe.proto import encode, format_text, parse_text, parse_wire, read_text
from torchcaffe.proto.message import MESSAGES, Message
from torchcaffe.proto.schema import NetParameter, SolverParameter

PROTOTXTS = sorted(GOLDENS.rglob("*.prototxt"))
# Refused on purpose where protobuf keeps the bytes as an unknown field.
STRICTER = re.compile("is a group, which|has wire type . where|no field of .* can begin")


@given(any_message)
@settings(max_examples=300, deadline=None)
def test_bytes_agree_both_ways(message: Message) -> None:
    theirs = to_official(message)
    raw = theirs.SerializeToString(deterministic=True)
    assert encode(message) == raw
    again = parse_wire(raw, type(message))
    assert encode(again) == raw
    assert format_text(again) == format_text(message)


@given(any_message)
@settings(max_examples=300, deadline=None)
def test_text_agrees_both_ways(message: Message) -> None:
    theirs = to_official(message)
    text = text_format.MessageToString(theirs)
    assert format_text(message) == text
    # Not compared with the message itself: text has no sign of a NaN.
    parsed = text_format.Parse(text, official_class(type(message).__name__)())
    assert encode(parse_text(text, type(message))) == parsed.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_class_agrees(name: str) -> None:
    @given(messages(name))
    @settings(max_examples=5, deadline=None, database=None)
    def check(message: Message) -> None:
        assert encode(message) == to_official(message).SerializeToString(deterministic=True)

    check()


@given(st.sampled_from(sorted(MESSAGES)).flatmap(lambda n: st.tuples(messages(n), messages(n))))
@settings(max_examples=200, deadline=None)
def test_messages_one_after_the_other_are_merged(pair: tuple[Message, Message]) -> None:
    raw = encode(pair[0]) + encode(pair[1])
    theirs = official_class(type(pair[0]).__name__).FromString(raw)
    assert encode(parse_wire(raw, type(pair[0]))) == theirs.SerializeToString(deterministic=True)


@st.composite
def _damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    message = draw(any_message)
    raw = bytearray(encode(message))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return type(message).__name__, bytes(raw)


@given(_damaged())
@settings(max_examples=1000, deadline=None)
def test_damaged_bytes_are_accepted_where_protobuf_accepts_them(damaged: tuple[str, bytes]) -> None:
    name, raw = damaged
    official = official_class(name)
    try:
        message = parse_wire(raw, MESSAGES[name])
    except ParseError as error:
        if not STRICTER.search(str(error)):
            with pytest.raises(DecodeError):
                _whole(official.FromString(raw))
    else:
        theirs = _whole(official.FromString(raw)).SerializeToString(deterministic=True)
        # Read once more, because protobuf keeps the very bytes of an unknown field's tag.
        assert encode(message) == encode(parse_wire(theirs, MESSAGES[name]))


def _whole(message):  # type: ignore[no-untyped-def]
    if not message.IsInitialized():
        raise DecodeError("a required field is missing")
    return message


@pytest.mark.parametrize("path", PROTOTXTS, ids=[str(p.relative_to(GOLDENS)) for p in PROTOTXTS])
def test_prototxts_read_as_protobuf_reads_them(path: Path) -> None:
    is_solver = path.name == "solver.prototxt"
    message = read_text(path, SolverParameter if is_solver else NetParameter)
    theirs = text_format.Parse(path.read_text(), official_class(type(message).__name__)())
    assert encode(message) == theirs.SerializeToString(deterministic=True)
    assert format_text(message) == text_format.MessageToString(theirs)


@pytest.mark.parametrize(
    ("path", "message_class"), BINARIES, ids=[str(p.relative_to(GOLDENS)) for p, _ in BINARIES]
)
def test_files_of_real_caffe_are_written_back_as_they_were(
    path: Path, message_class: type[Message]
) -> None:
    raw = path.read_bytes()
    message = parse_wire(raw, message_class)
    assert encode(message) == raw
    theirs = official_class(message_class.__name__).FromString(raw)
    assert format_text(message) == text_format.MessageToString(theirs)
