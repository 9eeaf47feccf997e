"""Whole files to messages as the rest of the package wants them: read, then upgraded."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from torchcaffe.proto.message import Message
from torchcaffe.proto.schema import NetParameter, SolverParameter
from torchcaffe.proto.text import read_text
from torchcaffe.proto.upgrade import upgrade_net, upgrade_solver
from torchcaffe.proto.wire import read_wire

_LOG = logging.getLogger("torchcaffe")


def read_net(path: str | Path, problems: list[str] | None = None) -> NetParameter:
    """The net of a prototxt, upgraded to the form of Caffe 1.0.

    ``problems`` collects what ``upgrade_net`` reports. Raises ParseError, or NetError where
    Caffe refuses to upgrade.
    """
    return upgrade_net(read_text(path, NetParameter), str(path), problems)


def read_weights_net(path: str | Path, problems: list[str] | None = None) -> NetParameter:
    """The net of a caffemodel, upgraded; its parameter arrays are views of the mapped file.

    ``problems`` collects what ``upgrade_net`` reports. Raises ParseError, or NetError where
    Caffe refuses to upgrade.
    """
    net = read_wire(path, NetParameter)
    if counts := unknown_fields(net):
        listed = ", ".join(f"{name} ({count} times)" for name, count in sorted(counts.items()))
        _LOG.info("%s: fields that Caffe 1.0 does not have are left alone: %s", path, listed)
    return upgrade_net(net, str(path), problems)


def read_solver(path: str | Path) -> SolverParameter:
    """The solver of a prototxt, upgraded, with the ``snapshot_prefix`` that its path gives."""
    return upgrade_solver(read_text(path, SolverParameter), str(path))


def unknown_fields(message: Message) -> Counter[str]:
    """How often each field that the table does not have is in the message, sub-messages too."""
    owner = type(message).__name__
    counts = Counter(f"{owner} {number}" for number, _, _ in message.unknown)
    for field, value in message.present():
        if field.kind == "message":
            for part in value if field.repeated else (value,):
                counts += unknown_fields(part)
    return counts
