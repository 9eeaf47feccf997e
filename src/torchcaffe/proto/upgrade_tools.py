"""What the upgrade steps share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from torchcaffe.errors import NetError
from torchcaffe.proto.message import Location, Message

_LOG = logging.getLogger("torchcaffe")


@dataclass
class Upgrade:
    """One net's way through the steps: the file it came from, and what was wrong with it."""

    file: str
    problems: list[str] = field(default_factory=list)

    def error(self, where: Location | None, words: str) -> NetError:
        """The NetError for a place in the file."""
        stop = "" if words.endswith("?") else "."
        return NetError(f"{where or self.file}: {words}{stop}")

    def problem(self, where: Location | None, words: str) -> None:
        """Log something that Caffe reports as an error before it goes on without it."""
        self.problems.append(f"{where or self.file}: {words}.")
        _LOG.error("%s", self.problems[-1])


def move(source: Message, name: str, target: Message, new_name: str) -> None:
    """Copy a present field to another message, appending to a repeated field of single values."""
    value = source._values[name]
    new = target.field(new_name)
    if new.repeated and not source.field(name).repeated:
        getattr(target, new_name).append(new.check_one(value))
    else:
        target._values[new_name] = new.check(value)
    keep_place(source, name, target, new_name)


def keep_place(source: Message, name: str, target: Message, new_name: str) -> None:
    """Give a field that was made from another the place of that one."""
    if where := source.where(name):
        target._where[new_name] = where
        target.location = target.location or where
