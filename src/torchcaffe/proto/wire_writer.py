"""Messages to bytes, as protobuf itself would write them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.errors import InputError
from torchcaffe.proto.files import replacing
from torchcaffe.proto.message import Field, Message

VARINT = 0
WIRE_TYPES = {
    **dict.fromkeys(("int32", "int64", "uint32", "bool", "enum"), VARINT),
    **dict.fromkeys(("string", "bytes", "message"), 2),
    "float": 5,
    "double": 1,
}
"""The wire type of one value of each kind."""

_LONGEST = 2**31 - 1
_Part = bytes | memoryview


def encode(message: Message) -> bytes:
    """``message`` as bytes: known fields by ascending number, then the unknown ones.

    Raises InputError if a required field is missing or the result would be longer than the
    2 147 483 647 bytes that a message can have.
    """
    return b"".join(_parts(message)[0])


def write_wire(path: str | Path, message: Message) -> None:
    """Write ``message`` to the file ``path``, arrays straight from their memory.

    The file appears under its name only when it is whole. Raises InputError if it cannot be
    written, and as ``encode`` does.
    """
    parts = _parts(message)[0]
    with replacing(path) as file:
        file.writelines(parts)


def _parts(message: Message) -> tuple[list[_Part], int]:
    """The pieces of the encoded message, and how long they are together."""
    parts: list[_Part] = []
    for field in message.fields.values():
        if message.has(field.name):
            parts += _field(field, message._values[field.name])
        elif field.required:
            raise InputError(f'{field.owner} lacks its required field "{field.name}".')
    for number, wire_type, raw in message.unknown:
        parts.append(_varint(number << 3 | wire_type))
        parts += [_varint(len(raw)), raw] if wire_type == 2 else [raw]
    length = sum(map(len, parts))
    if length > _LONGEST:
        raise InputError(
            f"{type(message).__name__} takes {length} bytes, and a message can have {_LONGEST}; "
            "save the weights as HDF5 instead."
        )
    return parts, length


def _field(field: Field, value: Any) -> list[_Part]:
    tag = _varint(field.number << 3 | WIRE_TYPES[field.kind])
    if field.array:
        return _array(field, tag, np.ascontiguousarray(value))
    values = value if field.repeated else (value,)
    if field.packed:
        packed = b"".join(_scalar(field, item) for item in values)
        return [_varint(field.number << 3 | 2), _varint(len(packed)), packed]
    if WIRE_TYPES[field.kind] != 2:
        return [b"".join(tag + _scalar(field, item) for item in values)]
    return [part for item in values for part in _delimited(field, tag, item)]


def _array(field: Field, tag: bytes, values: Any) -> list[_Part]:
    if field.packed:
        raw = values.view(np.uint8).data
        return [_varint(field.number << 3 | 2) + _varint(len(raw)), raw]
    rows = np.empty((len(values), len(tag) + field.dtype.itemsize), np.uint8)
    rows[:, : len(tag)] = np.frombuffer(tag, np.uint8)
    rows[:, len(tag) :] = values.view(np.uint8).reshape(len(values), -1)
    return [rows.reshape(-1).data]


def _delimited(field: Field, tag: bytes, value: Any) -> Iterable[_Part]:
    if field.kind == "message":
        parts, length = _parts(value)
        return [tag + _varint(length), *parts]
    raw = value if field.kind == "bytes" else value.encode("utf-8", "surrogateescape")
    return [tag, _varint(len(raw)), raw]


def _scalar(field: Field, value: Any) -> bytes:
    if field.kind == "float":
        return struct.pack("<f", value)
    if field.kind == "double":
        return struct.pack("<d", value)
    if field.kind == "enum":
        assert field.enum is not None
        value = field.enum.numbers[value]
    # A negative number is written as 64 bits, and so takes ten bytes.
    return _varint(int(value) & 0xFFFFFFFFFFFFFFFF)


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
