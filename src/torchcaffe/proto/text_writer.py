"""Messages to prototxt, in the very form that protobuf's own Python writer gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from torchcaffe.proto.message import Field, Message

_MARKS = {"\t": r"\t", "\n": r"\n", "\r": r"\r", '"': r"\"", "'": r"\'", "\\": r"\\"}
_ESCAPES = {code: f"\\{code:03o}" for code in (*range(32), 127)} | {
    ord(mark): escape for mark, escape in _MARKS.items()
}
# A byte that is not UTF-8 stands as a lone surrogate, and is written as that byte.
_TEXT_ESCAPES = _ESCAPES | {0xDC00 + byte: f"\\{byte:03o}" for byte in range(128, 256)}
_BYTE_ESCAPES = _ESCAPES | {byte: f"\\{byte:03o}" for byte in range(128, 256)}


def format_text(message: Message) -> str:
    """``message`` as prototxt, fields by ascending number.

    Equal to ``google.protobuf.text_format.MessageToString`` on the same message; unknown fields
    are left out there too.
    """
    return "".join(_lines(message, ""))


def _lines(message: Message, indent: str) -> Iterator[str]:
    for field, value in message.present():
        for item in value if field.repeated else (value,):
            if field.kind == "message":
                yield f"{indent}{field.name} {{\n"
                yield from _lines(item, indent + "  ")
                yield f"{indent}}}\n"
            else:
                yield f"{indent}{field.name}: {_scalar(field, item)}\n"


def _scalar(field: Field, value: Any) -> str:
    if field.kind == "float":
        return shortest_float(float(value))
    if field.kind == "double":
        return str(float(value))
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "string":
        return f'"{value.translate(_TEXT_ESCAPES)}"'
    if field.kind == "bytes":
        return f'"{value.decode("latin-1").translate(_BYTE_ESCAPES)}"'
    return str(value)


def shortest_float(value: float) -> str:
    """The fewest digits, six at least tried, that read back as the float32 ``value``."""
    if not math.isfinite(value):
        return str(value)
    for precision in range(6, 9):
        rounded = float(f"{value:.{precision}g}")
        with np.errstate(over="ignore"):
            if float(np.float32(rounded)) == value:
                return str(rounded)
    return str(float(f"{value:.9g}"))
