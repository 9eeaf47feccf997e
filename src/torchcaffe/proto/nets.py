"""Whole files to messages as the rest of the package wants them: read, then upgraded."""

from __future__ import annotations

from pathlib import Path

from torchcaffe.proto.schema import NetParameter, SolverParameter
from torchcaffe.proto.text import read_text
from torchcaffe.proto.upgrade import upgrade_net, upgrade_solver


def read_net(path: str | Path, problems: list[str] | None = None) -> NetParameter:
    """The net of a prototxt, upgraded to the form of Caffe 1.0.

    ``problems`` collects what ``upgrade_net`` reports. Raises ParseError, or NetError where
    Caffe refuses to upgrade.
    """
    return upgrade_net(read_text(path, NetParameter), str(path), problems)


def read_solver(path: str | Path) -> SolverParameter:
    """The solver of a prototxt, upgraded, with the ``snapshot_prefix`` that its path gives."""
    return upgrade_solver(read_text(path, SolverParameter), str(path))
