"""The tokens of a prototxt, each with its line and column.

The grammar is that of protobuf's C++ text parser, which Caffe uses with its default options: no
strings over several lines, and no letter directly after a number.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from torchcaffe.errors import ParseError
from torchcaffe.proto.message import Location

_GAP = re.compile(r"[ \t\r\n\v\f]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"\.?[0-9][A-Za-z0-9_.]*(?:(?<=[eE])[+-][A-Za-z0-9_.]*)*")
# Written so that no group is repeated once a character, which would take memory for each.
_STRING = re.compile(
    r"\"[^\"\\\n\0]*(?:\\[^\n\0][^\"\\\n\0]*)*\"|'[^'\\\n\0]*(?:\\[^\n\0][^'\\\n\0]*)*'"
)
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_FLOAT = re.compile(r"(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?[fF]?")
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>(?:000[0-9a-fA-F]|0010)[0-9a-fA-F]{4})|(?P<letter>[abfnrtv\\?'\"]))"
)
_LETTERS = {
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
    **{mark: mark.encode() for mark in "\\?'\""},
}
_SHOWN = 40


class Tokens:
    """Reads ``text`` token by token; the current one is ``kind``, ``text`` and ``start``.

    ``kind`` is ``"name"``, ``"integer"``, ``"float"``, ``"string"``, ``"symbol"`` or ``"end"``.
    """

    def __init__(self, source: str, file: str) -> None:
        self.source = source
        self.file = file
        self.kind = ""
        self.text = ""
        self.start = self._position = 0
        self._lines = [0, *(found.end() for found in re.finditer("\n", source))]
        if source.startswith("\ufeff"):
            raise self.error(
                "the file starts with a UTF-8 byte order mark, which Caffe refuses; "
                'save it as "UTF-8 without BOM"'
            )
        self.next()

    def location(self, offset: int | None = None) -> Location:
        """The line and column of ``offset``, or of the current token."""
        offset = self.start if offset is None else offset
        line = bisect_right(self._lines, offset)
        return Location(self.file, line, offset - self._lines[line - 1] + 1)

    def error(self, words: str, offset: int | None = None) -> ParseError:
        """A ParseError at ``offset``, or at the current token."""
        stop = "" if words.endswith((".", "?")) else "."
        return ParseError(f"{self.location(offset)}: {words}{stop}")

    def shown(self) -> str:
        """The current token as an error message shows it."""
        if self.kind == "end":
            return "the end of the file"
        text = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}..."
        return text if self.kind == "string" else f'"{text}"'

    def next(self) -> None:
        """Move to the next token."""
        self.start = self._after_gap(self._position)
        if self.start == len(self.source):
            self.kind, self.text = "end", ""
            return
        self.kind, self.text = self._read(self.source[self.start])
        self._position = self.start + len(self.text)

    def take(self, symbol: str) -> bool:
        """Move on if the current token is ``symbol``, and say whether it was."""
        if self.kind != "symbol" or self.text != symbol:
            return False
        self.next()
        return True

    def _after_gap(self, position: int) -> int:
        """The place after white space and comments."""
        while True:
            gap = _GAP.match(self.source, position)
            assert gap is not None
            if not self.source.startswith("#", gap.end()):
                return gap.end()
            line_end = self.source.find("\n", gap.end())
            position = len(self.source) if line_end < 0 else line_end

    def _read(self, first: str) -> tuple[str, str]:
        if found := _NAME.match(self.source, self.start):
            return "name", found[0]
        if found := _NUMBER.match(self.source, self.start):
            return self._number(found[0])
        if first in "\"'":
            if not (found := _STRING.match(self.source, self.start)):
                raise self.error(f"the string has no closing {first} on its line")
            return "string", found[0]
        if "!" <= first <= "~":
            return "symbol", first
        raise self.error(f"{_character(first)} may stand only in a string or a comment")

    def _number(self, text: str) -> tuple[str, str]:
        if _INTEGER.fullmatch(text):
            return "integer", text
        if _FLOAT.fullmatch(text):
            return "float", text
        why = ""
        if re.fullmatch("0[0-9]+", text):
            why = "; a leading 0 makes the number octal, which has no digit 8 or 9"
        raise self.error(f'"{text[:_SHOWN]}" is not a number{why}')


def _character(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"byte 0x{ord(character) - 0xDC00:02x}, which is not UTF-8,"
    return f"the character U+{ord(character):04X}"


def unescape(tokens: Tokens) -> bytes:
    """The bytes that the current string token stands for."""
    body = tokens.text[1:-1]
    result = bytearray()
    position = 0
    while position < len(body):
        end = body.find("\\", position)
        end = len(body) if end < 0 else end
        try:
            result += body[position:end].encode()
        except UnicodeEncodeError as error:
            where = tokens.start + 1 + position + error.start
            raise tokens.error(
                f"{_character(error.object[error.start])} in a string", where
            ) from None
        position = end
        if position < len(body):
            if not (found := _ESCAPE.match(body, position)):
                where = tokens.start + 1 + position
                raise tokens.error(f'unknown escape "{body[position : position + 2]}"', where)
            position = _append_escape(result, body, found)
    return bytes(result)


def _append_escape(result: bytearray, body: str, found: re.Match[str]) -> int:
    """Add what the escape stands for, and give the position after it."""
    if found["letter"]:
        result += _LETTERS[found["letter"]]
    elif digits := found["u"] or found["U"]:
        code = int(digits, 16)
        low = _ESCAPE.match(body, found.end())
        # Two \u escapes may spell one character beyond 16 bits, as in UTF-16.
        if 0xD800 <= code < 0xDC00 and low and low["u"] and "dc00" <= low["u"].lower() <= "dfff":
            code = 0x10000 + ((code - 0xD800) << 10) + int(low["u"], 16) - 0xDC00
            found = low
        result += chr(code).encode("utf-8", "surrogatepass")
    else:
        result.append(int(found["octal"] or found["hex"], 8 if found["octal"] else 16) & 0xFF)
    return found.end()


def integer_value(text: str) -> int:
    """The value of an integer token, decimal, hexadecimal or octal."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if text[0] == "0":
        return int(text, 8)
    # Python refuses to convert very long decimals; that it is out of range is all we need.
    return int(text) if len(text) < 400 else 10**400


def decode(raw: bytes) -> str:
    """The text of a file; bytes that are not UTF-8 stand as lone surrogates.

    Caffe takes any byte in a comment, and comments in local encodings are common.
    """
    return raw.decode("utf-8", "surrogateescape")
