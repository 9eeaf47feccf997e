"""Where the answers of real Caffe lie, and which recordings are there."""

import os
from pathlib import Path
from typing import Any

import pytest

OWN = Path(__file__).parent / "goldens"


def golden_root() -> Path:
    """The folder of recordings: TORCHCAFFE_GOLDENS, or the one that comes with the tests."""
    named = os.environ.get("TORCHCAFFE_GOLDENS")
    if named and not Path(named).is_dir():
        raise FileNotFoundError(f"TORCHCAFFE_GOLDENS names {named}, which is not a folder")
    return Path(named) if named else OWN


def recordings(kind: str, pattern: str) -> list[Any]:
    """Parameters for pytest: the files of folder ``kind`` that match, sorted, named by recording.

    A recording's name is its file's stem, or its folder's name where the pattern has a folder. A
    folder that is not there has no recordings; ``__test__ = bool(recordings(...))`` in a test
    module then leaves it out.
    """
    folder = golden_root() / kind
    named = pattern.count("/")
    return [
        pytest.param(path, id=path.parent.name if named else path.stem)
        for path in sorted(folder.glob(pattern))
    ]
