"""Data sets by name: a public file of this folder whose ``read`` gives sequences is a data set."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, get_type_hints

from goturn.errors import DataError
from goturn.sequence import Sequence
from torchcaffe.proto import did_you_mean

Reader = Callable[..., list[Sequence]]
TEXTS = (str, str | PathLike[str])


def data_sets() -> dict[str, Reader]:
    """The readers by the names of their files, sorted."""
    package = Path(__file__).parent
    names = sorted(module.name for module in pkgutil.iter_modules([str(package)]))
    found = {}
    for name in names:
        if not name.startswith("_"):
            read = getattr(importlib.import_module(f"goturn.data.{name}"), "read", None)
            if read and get_type_hints(read).get("return") == list[Sequence]:
                found[name] = read
    return found


def read_data_set(name: str, folder: str | PathLike[str], **options: Any) -> list[Sequence]:
    """The sequences of the data set ``name`` in ``folder``; ``options`` are its reader's.

    Raises DataError for a name or an option that does not exist, for folders and files that are
    not there, and for annotations that are malformed.
    """
    readers = data_sets()
    if name not in readers:
        hint = did_you_mean(name, readers) or f"; there are {', '.join(readers)}"
        raise DataError(f'there is no data set "{name}"{hint}')
    _check_options(name, readers[name], options)
    if not Path(folder).is_dir():
        raise DataError(f'{folder} is not a folder; the data set "{name}" was expected there')
    sequences = readers[name](folder, **options)
    if not sequences:
        raise DataError(f'{folder} has no sequence of the data set "{name}"')
    return sequences


def read_named(text: str) -> list[Sequence]:
    """The sequences of ``NAME=FOLDER`` or ``NAME=FOLDER,option=value,...``, as --data takes them.

    The text of an option becomes what the reader's signature says: a string, a number, a path.
    """
    name, folder, settings = split_named(text)
    hints = get_type_hints(data_sets()[name]) if name in data_sets() else {}
    options = {key: _value(key, value, hints.get(key, str)) for key, value in settings.items()}
    return read_data_set(name, folder, **options)


def split_named(text: str) -> tuple[str, str, dict[str, str]]:
    """The name, the folder and the options of ``NAME=FOLDER,option=value,...``."""
    name, equals, rest = text.partition("=")
    folder, *settings = re.split(r",(?=\w+=)", rest)
    if not name or not equals or not folder:
        raise DataError(f'--data takes NAME=FOLDER or NAME=FOLDER,option=value, got "{text}"')
    pairs = (setting.partition("=") for setting in settings)
    return name, folder, {option: value for option, _, value in pairs}


def _check_options(name: str, reader: Reader, options: dict[str, Any]) -> None:
    """DataError for an option that the reader does not have, or needs and has not got."""
    known = dict(list(inspect.signature(reader).parameters.items())[1:])
    for option in options:
        if option not in known:
            hint = did_you_mean(option, known) or f"; it has {', '.join(known) or 'none'}"
            raise DataError(f'the data set "{name}" has no option "{option}"{hint}')
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise DataError(f'the data set "{name}" needs the option "{option}"')


def _value(option: str, text: str, kind: Any) -> Any:
    if kind in TEXTS:
        return text
    if kind not in (int, float):
        raise DataError(f'option "{option}" can be given in Python only')
    try:
        return kind(text)
    except ValueError:
        raise DataError(f'option "{option}" takes a number, got "{text}"') from None
