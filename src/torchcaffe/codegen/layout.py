"""Lines of source in the form that ``ruff format`` leaves alone.

An expression is text, or a bracket with items. One that does not fit into its line is opened: a
call's items stand together on a line of their own if they fit there, otherwise each on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 100
INDENT = 4


@dataclass(frozen=True)
class Text:
    """What cannot be broken."""

    text: str


@dataclass(frozen=True)
class Bracket:
    """``open`` items ``close``, such as ``nn.Linear(`` ... ``)``."""

    open: str
    items: tuple[Doc, ...]
    close: str
    literal: bool = False
    """A tuple, list or dict, whose items never share a line of their own."""


@dataclass(frozen=True)
class Infix:
    """``first``, then each operator with its operand, all of one precedence."""

    first: Doc
    rest: tuple[tuple[str, Doc], ...]


Doc = Text | Bracket | Infix


def flat(doc: Doc) -> str:
    """The expression on one line."""
    if isinstance(doc, Text):
        return doc.text
    if isinstance(doc, Infix):
        return " ".join([flat(doc.first), *(f"{sign} {flat(part)}" for sign, part in doc.rest)])
    items = ", ".join(flat(item) for item in doc.items)
    lonely = doc.literal and doc.open.endswith("(") and len(doc.items) == 1
    return f"{doc.open}{items}{',' if lonely else ''}{doc.close}"


def prefixed(prefix: str, doc: Doc) -> Doc:
    """``doc`` behind ``prefix``, such as ``dim=`` or ``*``."""
    if isinstance(doc, Text):
        return Text(prefix + doc.text)
    if isinstance(doc, Infix):
        return Infix(prefixed(prefix, doc.first), doc.rest)
    return Bracket(prefix + doc.open, doc.items, doc.close, doc.literal)


def fits(doc: Doc, depth: int, head: str = "", tail: str = "") -> bool:
    """Whether ``head``, the expression and ``tail`` fit into one line at ``depth`` indents."""
    return len(head) + len(flat(doc)) + len(tail) <= WIDTH - depth * INDENT


def render(doc: Doc, depth: int, head: str = "", tail: str = "") -> list[str]:
    """The lines of ``head``, the expression and ``tail`` (its comma or comment)."""
    margin = " " * (depth * INDENT)
    if isinstance(doc, Text) or fits(doc, depth, head, tail):
        return [margin + head + flat(doc) + tail]
    inner = margin + " " * INDENT
    if isinstance(doc, Infix):
        body = [inner + flat(doc)]
        if len(body[0]) > WIDTH:
            body = [inner + flat(doc.first), *(f"{inner}{sign} {flat(p)}" for sign, p in doc.rest)]
        return [margin + head + "(", *body, margin + ")" + tail]
    if not doc.items:
        return [margin + head + flat(doc) + tail]
    body = [inner + ", ".join(flat(item) for item in doc.items)]
    if doc.literal or len(body[0]) > WIDTH:
        body = [line for item in doc.items for line in render(item, depth + 1, tail=",")]
    return [margin + head + doc.open, *body, margin + doc.close + tail]


def paragraphs(parts: Iterable[Sequence[str]]) -> list[str]:
    """The non-empty parts with a blank line between them."""
    lines: list[str] = []
    for part in parts:
        if part:
            lines += ["", *part] if lines else part
    return lines


def function_head(name: str, parameters: Sequence[str], result: str, depth: int = 1) -> list[str]:
    """``def name(parameters) -> result:``, broken like a call where it is too long."""
    doc = Bracket(f"def {name}(", tuple(map(Text, parameters)), f") -> {result}:")
    return render(doc, depth)
