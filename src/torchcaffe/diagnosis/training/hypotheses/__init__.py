"""The causes that gradients, updates and schedules can have, one file each.

A file has an ``IDENTIFIER``, the ``EXPERIMENT`` whose numbers it explains, its ``ORDER`` among
those that explain as much, and ``propose(case, recipe)``, which gives the changes of the recipe
that would make its kind of difference. Whether one is the cause is not for the file to say.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Any


@cache
def hypotheses(experiment: str) -> Sequence[Any]:
    """The ``propose`` functions of an experiment, in order."""
    return [module.propose for module in modules() if experiment == module.EXPERIMENT]


def identifiers() -> list[str]:
    """All identifiers that files here have."""
    return [module.IDENTIFIER for module in modules()]


@cache
def modules() -> Sequence[Any]:
    """All files here, in order."""
    found = [
        importlib.import_module(f"{__name__}.{entry.name}")
        for entry in pkgutil.iter_modules(__path__)
    ]
    return sorted(found, key=lambda module: (module.EXPERIMENT, module.ORDER, module.IDENTIFIER))
