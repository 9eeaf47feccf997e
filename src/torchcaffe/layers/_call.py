"""One expression, two readers: the net builds and runs a ``Call``, codegen prints it.

A call of a module class constructs the module, which is then applied to the layer's bottoms::

    Call("torch.nn.Conv2d", 3, 64, kernel_size=7)          self.conv1 = nn.Conv2d(3, 64, ...)

Any other call is a function of the bottoms::

    Call("torch.cat", BOTTOMS, dim=1)                       torch.cat((a, b), dim=1)
    Call("operator.add", Bottom(0), Bottom(1))              a + b
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

Function = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Bottom:
    """Stands for one bottom in a function's arguments."""

    index: int


@dataclass(frozen=True)
class AllBottoms:
    """Stands for the tuple of all bottoms."""


BOTTOMS = AllBottoms()


@dataclass(frozen=True, init=False)
class Call:
    """``target(*args, **kwargs)``; values are numbers, strings, tuples, bottoms and calls."""

    target: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]

    def __init__(self, target: str, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "kwargs", tuple(kwargs.items()))

    @property
    def is_module(self) -> bool:
        """Whether the call constructs a module (then to be applied to the bottoms)."""
        target = resolve(self.target)
        return isinstance(target, type) and issubclass(target, nn.Module)

    def build(self, bottoms: Sequence[Any] = ()) -> Any:
        """Evaluate with the bottoms put in; for a module's call, construct the module."""
        return self.function()(bottoms)

    def function(self) -> Function:
        """The call as a function of the bottoms, every name in it resolved once."""
        target = resolve(self.target)
        args = [_function(value) for value in self.args]
        kwargs = {name: _function(value) for name, value in self.kwargs}

        def evaluate(bottoms: Sequence[Any]) -> Any:
            return target(
                *[value(bottoms) for value in args],
                **{name: value(bottoms) for name, value in kwargs.items()},
            )

        return evaluate


def _function(value: Any) -> Function:
    if isinstance(value, Bottom):
        index = value.index
        return lambda bottoms: bottoms[index]
    if isinstance(value, AllBottoms):
        return lambda bottoms: tuple(bottoms)
    if isinstance(value, Call):
        return value.function()
    if isinstance(value, tuple):
        parts = [_function(item) for item in value]
        return lambda bottoms: tuple([part(bottoms) for part in parts])
    return lambda bottoms: value


@cache
def resolve(target: str) -> Any:
    """The object at a dotted path, such as ``torch.nn.functional.relu``."""
    path, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(path), name)
    except ModuleNotFoundError:
        return getattr(resolve(path), name)
