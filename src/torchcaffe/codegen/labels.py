"""What the names of layers say about which of them belong together.

In ``fire2/squeeze1x1`` and ``fire2/expand3x3``, beside ``fire3/...``, ``fire2`` labels one block
and the rest names its parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from os.path import commonprefix

from torchcaffe.codegen.names import tokens

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class Labels:
    """``blocks`` has a label for each occurrence, ``parts`` a name for each position in it."""

    blocks: list[str]
    parts: list[str]


def find_labels(names: Sequence[Sequence[str]]) -> Labels | None:
    """From the names of each occurrence, position by position; None if no label runs through."""
    columns = [[_tokens(name) for name in column] for column in zip(*names, strict=True)]
    for whole in (True, False):
        found = _labels(columns, whole)
        if found is not None:
            return found
    return None


def _labels(columns: Sequence[Sequence[Tokens]], whole: bool) -> Labels | None:
    middles: list[str] | None = None
    before: list[Tokens] = []
    after: list[Tokens] = []
    for column in columns:
        left, right = _cut(column, whole)
        middle = ["".join(name[left : len(name) - right]) for name in column]
        if middles is None and len(set(middle)) < len(middle):
            return None
        if middles is not None and middle != middles:
            return None
        middles = middle
        before.append(column[0][:left])
        after.append(column[0][len(column[0]) - right :])
    shared = _shared_ending(before)
    heads = [head[: len(head) - len(shared)] for head in before]
    word = "".join(shared).lstrip("_-/. ")
    parts = [_join(head, tail) for head, tail in zip(heads, after, strict=True)]
    return Labels([word + middle for middle in middles or []], parts)


@cache
def _tokens(name: str) -> Tokens:
    return tuple(tokens(name))


def _cut(column: Sequence[Tokens], whole: bool) -> tuple[int, int]:
    """How many tokens before and after the label all names of a column have in common.

    With ``whole``, numbers stay with the letters that touch them: the label is 2a or 3b12.
    """
    shortest = min(len(name) for name in column)
    left = len(commonprefix(list(column)))
    right = min(len(commonprefix([name[::-1] for name in column])), shortest - left)
    first = column[0]
    starts = [name[left] if len(name) - right > left else "" for name in column]
    ends = [name[-right - 1] if len(name) - right > left else "" for name in column]
    while whole and left and _index(first[left - 1]) and all(map(str.isalnum, starts)):
        left -= 1
    while whole and right and _index(first[len(first) - right]) and all(map(str.isalnum, ends)):
        right -= 1
    return left, right


def _index(token: str) -> bool:
    return token.isdigit() or (len(token) == 1 and token.isalpha())


def _shared_ending(heads: Sequence[Tokens]) -> Tokens:
    """What stands before the label in every name, from a separator or a number on."""
    shared = commonprefix([head[::-1] for head in heads])[::-1]
    while shared and any(len(head) > len(shared) for head in heads):
        if not shared[0].isalpha():
            break
        shared = shared[1:]
    return tuple(shared) if any(part.isalnum() for part in shared) else ()


def _join(head: Tokens, tail: Tokens) -> str:
    left, right = "".join(head).rstrip("_-/. "), "".join(tail).lstrip("_-/. ")
    return f"{left}_{right}" if left and right else left or right


def stage(label: str) -> str:
    """The label up to its first number, if another index follows: ``2`` of 2a, ``stage0`` of
    stage0_block1."""
    found = re.fullmatch(r"(\D*\d+)(?:[a-z]\d*|[_/.-][A-Za-z]*_?\d+)", label)
    return found[1] if found else ""
