"""Prototxt: text to messages and back, as strict as Caffe's own reader.

``parse_text`` follows the grammar of protobuf's C++ text parser: an unknown field, a singular
field given twice, a value of the wrong type or out of range is an error that names the place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from torchcaffe.errors import ParseError
from torchcaffe.proto.files import HEAD, read_bytes, recognise
from torchcaffe.proto.message import INTEGER_RANGES, Field, Location, Message
from torchcaffe.proto.suggest import did_you_mean, unknown_field
from torchcaffe.proto.text_tokens import Tokens, decode, integer_value, unescape
from torchcaffe.proto.text_writer import format_text

__all__ = ["format_text", "parse_text", "read_text"]

M = TypeVar("M", bound=Message)

_DEEPEST = 100
_BOOLEANS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_CLOSING = {"{": "}", "<": ">"}


def parse_text(text: str, message_class: type[M], file: str = "<string>") -> M:
    """Read ``text`` as one message of ``message_class``.

    Every message and field remembers its place (``Message.where``). Raises ParseError, whose
    words start with ``file:line:column:``.
    """
    tokens = Tokens(text, file)
    result = message_class()
    result.location = tokens.location(0)
    _Parser(tokens).fields(result, "", 0)
    return result


def read_text(path: str | Path, message_class: type[M]) -> M:
    """Read the file ``path`` as one message of ``message_class``; see ``parse_text``."""
    raw = read_bytes(path, f"a text {message_class.__name__}")
    if words := recognise(raw[:HEAD], text=True):
        raise ParseError(f"{path} is {words}, not a text {message_class.__name__} (prototxt).")
    return parse_text(decode(raw), message_class, str(path))


class _Parser:
    """Fills messages from tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def fields(self, target: Message, closing: str, depth: int) -> None:
        """Read fields into ``target`` up to ``closing``, or to the end of the file."""
        tokens = self.tokens
        while not (tokens.take(closing) if closing else tokens.kind == "end"):
            if tokens.kind != "name":
                raise self.no_field(target, closing)
            self.field(target, depth)
            if not tokens.take(";"):
                tokens.take(",")
        self.finish(target)

    def no_field(self, target: Message, closing: str) -> ParseError:
        """The error for a token that cannot begin a field of ``target``."""
        wanted = f'a field name or "{closing}"' if closing else "a field name"
        words = f"expected {wanted} in {type(target).__name__}, got {self.tokens.shown()}"
        if self.tokens.kind == "end" and target.location:
            words += f"; it begins at line {target.location.line}"
        return self.tokens.error(words)

    def finish(self, target: Message) -> None:
        """Check that required fields are there, and make arrays of lists of numbers."""
        fields = target.fields
        for name in fields if type(target).demanding else ():
            if fields[name].required and not target.has(name):
                words = f'{fields[name].owner} lacks its required field "{name}".'
                raise ParseError(f"{target.location}: {words}")
        for name, value in target._values.items():
            if fields[name].array:
                target._values[name] = np.array(value, fields[name].dtype)

    def field(self, target: Message, depth: int) -> None:
        """Read one field, that is a name and one value or a list."""
        tokens = self.tokens
        name, where = tokens.text, tokens.location()
        if name not in target.fields:
            raise tokens.error(unknown_field(name, type(target)))
        field = target.fields[name]
        if not field.repeated and target.has(name):
            first = target._where[name]
            raise tokens.error(
                f'field "{name}" of {field.owner} may be given once; '
                f"it stands at line {first.line} already"
            )
        tokens.next()
        if not tokens.take(":") and field.kind != "message":
            raise tokens.error(f'expected ":" after "{name}", got {tokens.shown()}')
        target._where.setdefault(name, where)
        if not field.repeated:
            target._values[name] = self.value(field, where, depth)
        else:
            self.extend(target, field, where, depth)

    def extend(self, target: Message, field: Field, where: Location, depth: int) -> None:
        """Add one value, or the values of a ``[...]`` list, to a repeated field."""
        tokens = self.tokens
        values: list[Any] = []
        if not tokens.take("["):
            values.append(self.value(field, where, depth))
        elif not tokens.take("]"):
            values.append(self.value(field, tokens.location(), depth))
            while not tokens.take("]"):
                if not tokens.take(","):
                    raise tokens.error(
                        f'expected "," or "]" in the list "{field.name}", got {tokens.shown()}'
                    )
                values.append(self.value(field, tokens.location(), depth))
        target._values.setdefault(field.name, []).extend(values)

    def value(self, field: Field, where: Location, depth: int) -> Any:
        """Read one value of ``field``; ``where`` is the place a message remembers."""
        if field.kind == "message":
            return self.message(field, where, depth)
        if field.kind in INTEGER_RANGES:
            return self.integer(field, *INTEGER_RANGES[field.kind])
        if field.kind in ("float", "double"):
            return self.number(field)
        if field.kind == "bool":
            return self.boolean(field)
        if field.kind == "enum":
            return self.enum(field)
        raw = self.string(field)
        return raw if field.kind == "bytes" else raw.decode("utf-8", "surrogateescape")

    def message(self, field: Field, where: Location, depth: int) -> Message:
        tokens = self.tokens
        opening = tokens.text
        if opening not in _CLOSING or tokens.kind != "symbol":
            raise tokens.error(
                f'expected "{{" to begin the {field.of} "{field.name}", got {tokens.shown()}'
            )
        if depth >= _DEEPEST:
            raise tokens.error(f"messages are nested more than {_DEEPEST} deep")
        tokens.next()
        result = field.message()
        result.location = where
        self.fields(result, _CLOSING[opening], depth + 1)
        return result

    def integer(self, field: Field, low: int, high: int) -> int:
        tokens = self.tokens
        start = tokens.start
        negative = low < 0 and tokens.take("-")
        if tokens.kind != "integer":
            kind = "an integer" if low < 0 else "an integer of 0 or more"
            raise self.wrong(field, kind)
        value = integer_value(tokens.text)
        value = -value if negative else value
        if not low <= value <= high:
            got = "-" * negative + tokens.text[:40]
            raise tokens.error(
                f"{field.owner}.{field.name} takes {field.kind} ({low} to {high}), got {got}", start
            )
        tokens.next()
        return value

    def number(self, field: Field) -> float:
        """Read a float or double; the value of a float field is rounded to float32."""
        tokens = self.tokens
        negative = tokens.take("-")
        text = tokens.text
        if tokens.kind == "integer":
            if len(text) > 1 and text[0] == "0":
                raise self.wrong(field, "a decimal number")
            value = float(text)
        elif tokens.kind == "float":
            value = float(text.rstrip("fF"))
        elif tokens.kind == "name" and text.lower() in ("inf", "infinity", "nan"):
            value = float(text)
        else:
            raise self.wrong(field, "a number")
        tokens.next()
        value = -value if negative else value
        with np.errstate(over="ignore"):
            return float(np.float32(value)) if field.kind == "float" else value

    def boolean(self, field: Field) -> bool:
        tokens = self.tokens
        if tokens.kind == "integer" and integer_value(tokens.text) in (0, 1):
            value = integer_value(tokens.text) == 1
        elif tokens.kind == "name" and tokens.text in _BOOLEANS:
            value = _BOOLEANS[tokens.text]
        else:
            raise self.wrong(field, "true or false")
        tokens.next()
        return value

    def enum(self, field: Field) -> str:
        tokens = self.tokens
        assert field.enum is not None
        start = tokens.start
        negative = tokens.take("-")
        if tokens.kind == "name" and not negative:
            name, known = tokens.text, tokens.text in field.enum.numbers
        elif tokens.kind == "integer":
            number = integer_value(tokens.text)
            name = field.enum.names.get(-number if negative else number, "")
            known = bool(name)
        else:
            raise self.wrong(field, "a name or a number")
        if not known:
            sign = "-" if negative else ""
            hint = did_you_mean(tokens.text, field.enum.numbers)
            raise tokens.error(
                f"{field.owner}.{field.name} takes one of {', '.join(field.enum.numbers)}; "
                f'got "{sign}{tokens.text[:40]}"{hint}',
                start,
            )
        tokens.next()
        return name

    def string(self, field: Field) -> bytes:
        tokens = self.tokens
        if tokens.kind != "string":
            raise self.wrong(field, "a string in quotes")
        result = b""
        while tokens.kind == "string":
            result += unescape(tokens)
            tokens.next()
        return result

    def wrong(self, field: Field, wanted: str) -> ParseError:
        return self.tokens.error(
            f"{field.owner}.{field.name} takes {wanted}, got {self.tokens.shown()}"
        )
