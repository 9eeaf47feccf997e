"""Calls as expressions of the printed module."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from torchcaffe.codegen.graph import Instance, Repeat, Times, Variable
from torchcaffe.codegen.layout import Bracket, Doc, Infix, Text, flat, prefixed
from torchcaffe.codegen.names import quote
from torchcaffe.codegen.sources import Sources
from torchcaffe.errors import ConversionError
from torchcaffe.layers._call import AllBottoms, Bottom, Call, resolve

_SIGNS = {
    "add": ("+", 1),
    "sub": ("-", 1),
    "mul": ("*", 2),
    "truediv": ("/", 2),
    "matmul": ("@", 2),
}
_RANKS = dict(_SIGNS.values())

_ROUNDING = {"torch.nn.LeakyReLU", "torch.nn.functional.leaky_relu"}
"""Targets that round their numbers to the input's type: 0.1 will do for float32's 0.1."""


def call(
    sources: Sources,
    target: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    bottoms: Sequence[Doc] = (),
) -> Doc:
    """``target(*args, **kwargs)`` with ``bottoms`` put in where the arguments name them."""
    short = target in _ROUNDING
    items = [_value(sources, value, bottoms, short) for value in args]
    operation = target.partition("operator.")[2]
    if operation in _SIGNS and len(items) == 2:
        return _infix(*_SIGNS[operation], *items)
    if operation == "getitem" and len(items) == 2:
        return _behind(items[0], f"[{flat(items[1])}]")
    if operation == "neg":
        return prefixed("-", _behind(items[0], ""))
    defaults = _defaults(target)
    named = [
        prefixed(f"{name}=", _value(sources, value, bottoms, short))
        for name, value in kwargs.items()
        if repr(value) != defaults.get(name)
    ]
    in_order = list(defaults.values())[: len(items)]
    while len(items) == len(in_order) > 1 and flat(items[-1]) == in_order[-1]:
        items.pop()
        in_order.pop()
    return Bracket(f"{sources.name(target)}(", (*items, *named), ")")


@cache
def _defaults(target: str) -> dict[str, str]:
    """The default of each parameter, in order, as far as Python code tells them."""
    try:
        parameters = inspect.signature(resolve(target)).parameters.values()
    except ValueError:
        return {}
    return {
        parameter.name: "" if parameter.default is parameter.empty else repr(parameter.default)
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def _value(sources: Sources, value: Any, bottoms: Sequence[Doc], short: bool) -> Doc:
    if isinstance(value, Bottom):
        return bottoms[value.index]
    if isinstance(value, AllBottoms):
        return Bracket("(", tuple(bottoms), ")", literal=True)
    if isinstance(value, Call):
        return call(sources, value.target, value.args, dict(value.kwargs), bottoms)
    if isinstance(value, Instance):
        return instance(sources, value)
    if isinstance(value, Repeat):
        inner = _value(sources, value.what, bottoms, short)
        return Text(f"*({flat(inner)} for {value.variable} in {value.over})")
    if isinstance(value, (tuple, list)):
        items = tuple(_value(sources, item, bottoms, short) for item in value)
        pair = "()" if isinstance(value, tuple) else "[]"
        return Bracket(pair[0], items, pair[1], literal=True)
    return Text(_literal(sources, value, short))


def instance(sources: Sources, value: Instance) -> Doc:
    """``Block(args, name=value)``."""
    items = [_value(sources, item, (), False) for item in value.args]
    items += [
        prefixed(f"{name}=", _value(sources, item, (), False))
        for name, item in value.kwargs.items()
    ]
    return Bracket(f"{value.name}(", tuple(items), ")")


def _literal(sources: Sources, value: Any, short: bool) -> str:
    if isinstance(value, (Variable, Times)) or value is None or isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return _number(sources, value, short)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, torch.dtype):
        sources.imports.add("torch")
        return str(value)
    raise ConversionError(f"cannot print {value!r} as source")


def _number(sources: Sources, value: float, short: bool) -> str:
    if not math.isfinite(value):
        return f'float("{value}")'
    rounded = repr(float(str(np.float32(value))))
    if float(np.float32(value)) != value or rounded == repr(value):
        return repr(value)
    if not short:
        sources.rounded[repr(value)] = rounded
    return rounded if short else repr(value)


def _infix(sign: str, rank: int, left: Doc, right: Doc) -> Doc:
    """``left sign right``, in brackets only where the order of operations asks for them."""
    if isinstance(left, Infix) and _rank(left) == rank:
        first, rest = left.first, left.rest
    else:
        first, rest = _bracketed(left, rank), ()
    return Infix(first, (*rest, (sign, _bracketed(right, rank + 1))))


def _rank(doc: Infix) -> int:
    return _RANKS[doc.rest[0][0]]


def _bracketed(doc: Doc, least: int) -> Doc:
    """``doc`` as an operand beside an operator of rank ``least``."""
    if isinstance(doc, Infix) and _rank(doc) < least:
        return Text(f"({flat(doc)})")
    return doc


def _behind(doc: Doc, suffix: str) -> Doc:
    """``doc`` with an index behind it."""
    if isinstance(doc, Bracket):
        return Bracket(doc.open, doc.items, doc.close + suffix, doc.literal)
    return Text((f"({flat(doc)})" if isinstance(doc, Infix) else flat(doc)) + suffix)


def walk(value: Any) -> Iterator[Call]:
    """Every call in a call's arguments, however deep."""
    if isinstance(value, Call):
        yield value
        for item in (*value.args, *dict(value.kwargs).values()):
            yield from walk(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from walk(item)
