"""Caffe's binary files: bytes to messages.

The numbers of a blob are views of the buffer, so that a mapped file of any size is read in the
time its structure takes. The reader agrees with protobuf's: both encodings of repeated numbers,
the last of a singular value wins, the parts of a singular message are merged, and what it does
not know is kept in ``Message.unknown``.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from torchcaffe.errors import ParseError
from torchcaffe.proto.files import HEAD, open_error, recognise
from torchcaffe.proto.message import Field, Message
from torchcaffe.proto.schema import BlobProto, BlobProtoVector, Datum, NetParameter, SolverState
from torchcaffe.proto.wire_writer import VARINT, WIRE_TYPES, encode, write_wire

__all__ = ["encode", "parse_wire", "read_wire", "write_wire"]

M = TypeVar("M", bound=Message)
Buffer = bytes | bytearray | memoryview | mmap.mmap

_DEEPEST = 100
_LONGEST_TAG = _LONGEST_LENGTH = 5
_FIXED = {1: 8, 5: 4}
_ARTICLES = {
    "NetParameter": "a caffemodel (NetParameter)",
    "SolverState": "a solverstate (SolverState)",
    "BlobProto": "a binaryproto (BlobProto)",
}


def parse_wire(buffer: Buffer, message_class: type[M], file: str = "<bytes>") -> M:
    """Read ``buffer`` as one message of ``message_class``.

    Array fields are views of ``buffer``, which they keep alive. Strings that are not UTF-8 keep
    their bytes as lone surrogates. Raises ParseError, whose words say at which byte.
    """
    reader = _Reader(buffer, file)
    result = message_class()
    reader.message(result, 0, len(reader.view), 0)
    reader.check_required()
    return result


def read_wire(path: str | Path, message_class: type[M]) -> M:
    """Read the file ``path``, mapped into memory, as one message of ``message_class``.

    The mapping is private: arrays can be written to, and the file does not change.
    """
    wanted = _article(message_class)
    try:
        with Path(path).open("rb") as file:
            if not file.seek(0, 2):
                raise ParseError(f"{path} is empty; {wanted} was expected there.")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise open_error(path, wanted, error) from None
    except ValueError as error:
        raise ParseError(f"{str(path)!r} cannot be read ({error}).") from None
    if words := recognise(mapped[:HEAD], text=False):
        raise ParseError(f"{path} is {words}; {wanted} was expected.")
    try:
        return parse_wire(mapped, message_class, str(path))
    except ParseError:
        if other := _other_message(mapped, message_class):
            raise ParseError(f"{path} is {other}; {wanted} was expected.") from None
        raise


def _article(message_class: type[Message]) -> str:
    name = message_class.__name__
    return _ARTICLES.get(name, f"a binary {name}")


def _other_message(buffer: Buffer, message_class: type[Message]) -> str | None:
    """What else of Caffe's the bytes surely are, if they are not ``message_class``."""
    for other in (NetParameter, SolverState, BlobProto, BlobProtoVector, Datum):
        if other is not message_class:
            try:
                unknown = parse_wire(buffer, other).unknown
            except ParseError:
                continue
            if not unknown:
                return _article(other)
    return None


class _Reader:
    """Fills messages from one buffer."""

    def __init__(self, buffer: Buffer, file: str) -> None:
        self.view = memoryview(buffer).cast("B")
        self.array = np.frombuffer(buffer, np.uint8) if len(self.view) else np.empty(0, np.uint8)
        self.file = file
        self.demanding: list[tuple[Message, int]] = []

    def message(self, target: Message, start: int, end: int, depth: int) -> None:
        """Read the fields between ``start`` and ``end`` into ``target``."""
        if depth > _DEEPEST:
            raise self.damaged(f"messages are nested more than {_DEEPEST} deep", start)
        if type(target).demanding:
            self.demanding.append((target, start))
        chunks: dict[str, list[Any]] = {}
        known = type(target).numbers
        position = start
        while position < end:
            at = position
            tag, position = self.varint(position, end, "a tag", _LONGEST_TAG)
            number, wire_type = tag >> 3, tag & 7
            field = known.get(number)
            if field is None or not _accepts(field, wire_type):
                self.check_unknown(target, field, number, wire_type, at)
                position = self.unknown(target, number, wire_type, position, end, at)
            elif wire_type == 2:
                length, position = self.varint(position, end, "a length", _LONGEST_LENGTH)
                if length > end - position:
                    raise self.short(field, at, length, position, end)
                self.delimited(target, field, position, position + length, depth, chunks)
                position += length
            elif field.array:
                chunk, position = self.run(field, at, position, end)
                chunks.setdefault(field.name, []).append(chunk)
            else:
                position = self.scalar(target, field, position, end, at)
        for name, parts in chunks.items():
            if name in target._values:
                parts.insert(0, target._values[name])
            target._values[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)

    def varint(
        self, position: int, end: int, what: str = "a number", longest: int = 10
    ) -> tuple[int, int]:
        """The number at ``position``, and the position after it."""
        view = self.view
        if position < end and view[position] < 0x80:
            return view[position], position + 1
        value = 0
        for i in range(longest):
            if position + i >= end:
                raise self.ends(what, position, end)
            byte = view[position + i]
            value |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                return value, position + i + 1
        raise self.damaged(f"{what} is longer than {longest} bytes", position)

    def delimited(
        self,
        target: Message,
        field: Field,
        start: int,
        end: int,
        depth: int,
        chunks: dict[str, list[Any]],
    ) -> None:
        """Read a string, a message, or packed numbers."""
        name, values = field.name, target._values
        if field.kind == "message":
            if field.repeated:
                part = field.message()
                values.setdefault(name, []).append(part)
            else:
                part = values.setdefault(name, field.message())
            self.message(part, start, end, depth + 1)
        elif field.array:
            chunks.setdefault(name, []).append(self.packed_array(field, start, end))
        elif WIRE_TYPES[field.kind] != 2:
            position = start
            while position < end:
                position = self.scalar(target, field, position, end, start)
        else:
            raw = bytes(self.view[start:end])
            value = raw if field.kind == "bytes" else raw.decode("utf-8", "surrogateescape")
            if field.repeated:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value

    def packed_array(self, field: Field, start: int, end: int) -> Any:
        size = field.dtype.itemsize
        if (end - start) % size:
            raise self.damaged(
                f'field "{field.name}" of {field.owner} has {_grouped(end - start)} bytes, '
                f"which is no multiple of {size}",
                start,
            )
        return self.array[start:end].view(field.dtype)

    def run(self, field: Field, at: int, position: int, end: int) -> tuple[Any, int]:
        """Unpacked numbers that follow each other, each with the same one-byte tag."""
        size = field.dtype.itemsize
        if end - position < size:
            raise self.ends(f'field "{field.name}"', at, end)
        count = 1
        if position - at == 1:
            rows = self.array[at : end - (end - at) % (1 + size)].reshape(-1, 1 + size)
            # Look ahead in growing steps, so that many short runs cost no more than one long.
            step = 16
            while count < len(rows):
                others = np.flatnonzero(rows[count : count + step, 0] != rows[0, 0])
                if len(others):
                    count += int(others[0])
                    break
                count = min(count + step, len(rows))
                step *= 2
            values = np.ascontiguousarray(rows[:count, 1:]).reshape(-1).view(field.dtype)
            return values, at + count * (1 + size)
        return self.array[position : position + size].view(field.dtype), position + size

    def scalar(self, target: Message, field: Field, position: int, end: int, at: int) -> int:
        """Read one number, and give the position after it."""
        if WIRE_TYPES[field.kind] == VARINT:
            start = position
            raw, position = self.varint(position, end)
            value = _from_varint(field, raw)
            if value is None:
                target.unknown.append((field.number, VARINT, bytes(self.view[start:position])))
                return position
        else:
            form, size = ("<f", 4) if field.kind == "float" else ("<d", 8)
            if end - position < size:
                raise self.ends(f'field "{field.name}"', at, end)
            value = struct.unpack_from(form, self.view, position)[0]
            position += size
        if field.repeated:
            target._values.setdefault(field.name, []).append(value)
        else:
            target._values[field.name] = value
        return position

    def unknown(
        self, target: Message, number: int, wire_type: int, position: int, end: int, at: int
    ) -> int:
        """Keep a field that the table does not have, and give the position after it."""
        if wire_type == VARINT:
            stop = self.varint(position, end)[1]
        elif wire_type == 2:
            length, position = self.varint(position, end, "a length", _LONGEST_LENGTH)
            if length > end - position:
                raise self.short(number, at, length, position, end)
            stop = position + length
        else:
            stop = position + _FIXED[wire_type]
            if stop > end:
                raise self.ends(f"field {number}", at, end)
        target.unknown.append((number, wire_type, bytes(self.view[position:stop])))
        return stop

    def check_unknown(
        self, target: Message, field: Field | None, number: int, wire_type: int, at: int
    ) -> None:
        """Refuse what cannot be kept as an unknown field."""
        owner = type(target).__name__
        if not 0 < number < 2**29 or wire_type in (6, 7):
            raise self.damaged(f"no field of {owner} can begin here", at)
        if wire_type in (3, 4):
            raise self.damaged(f"field {number} of {owner} is a group, which Caffe never has", at)
        if field is not None and not _forks_differ(field):
            raise self.damaged(
                f'field "{field.name}" of {owner} has wire type {wire_type} where '
                f"{WIRE_TYPES[field.kind]} was expected",
                at,
            )

    def check_required(self) -> None:
        """Raise ParseError if a message lacks a field that it must have."""
        for message, start in self.demanding:
            for field in message.fields.values():
                if field.required and not message.has(field.name):
                    words = f'{field.owner} lacks its required field "{field.name}"'
                    raise self.damaged(words, start)

    def damaged(self, words: str, at: int) -> ParseError:
        return ParseError(f"{self.file} is damaged: {words}, at byte {_grouped(at)}.")

    def ends(self, what: str, at: int, end: int) -> ParseError:
        if end == len(self.view):
            return ParseError(
                f"{self.file} is truncated: it ends inside {what} at byte {_grouped(at)}."
            )
        return self.damaged(f"{what} does not end inside its message", at)

    def short(self, field: Field | int, at: int, length: int, start: int, end: int) -> ParseError:
        named = f'"{field.name}"' if isinstance(field, Field) else field
        words = f"field {named} at byte {_grouped(at)} announces {_grouped(length)} bytes"
        if end == len(self.view):
            return ParseError(f"{self.file} is truncated: {words}, {_grouped(end - start)} remain.")
        return ParseError(
            f"{self.file} is damaged: {words}, but its message has {_grouped(end - start)} left."
        )


def _accepts(field: Field, wire_type: int) -> bool:
    expected = WIRE_TYPES[field.kind]
    return wire_type == expected or (field.repeated and wire_type == 2)


def _forks_differ(field: Field) -> bool:
    """Whether forks of Caffe may use the field's number for something else.

    They all share the frame of nets and blobs, and differ inside the parameters of layers. What
    does not fit there is kept as unknown, as protobuf does, so that their weights can be read.
    """
    if field.owner in ("LayerParameter", "V1LayerParameter"):
        return field.name.endswith("_param")
    return field.owner.endswith("Parameter") and field.owner not in (
        "NetParameter",
        "SolverParameter",
    )


def _from_varint(field: Field, raw: int) -> Any:
    """The value that a varint stands for in ``field``; None for an unknown number of an enum."""
    raw &= 0xFFFFFFFFFFFFFFFF
    if field.kind == "bool":
        return raw != 0
    if field.kind == "uint32":
        return raw & 0xFFFFFFFF
    if field.kind == "int64":
        return raw - (raw >> 63 << 64)
    low = raw & 0xFFFFFFFF
    signed = low - (low >> 31 << 32)
    if field.kind == "int32":
        return signed
    assert field.enum is not None
    return field.enum.names.get(signed)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
