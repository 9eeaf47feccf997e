"""Hand out the recorder, a single file that runs in a person's own old pycaffe."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from torchcaffe.errors import InputError

NAME = "record_caffe.py"


def write_recorder(path: str | PathLike[str]) -> Path:
    """Write record_caffe.py to ``path`` (a file, or a folder to put it in); where it now stands.

    InputError if another file already stands there, or the folder does not exist.
    """
    target = Path(path)
    if target.is_dir():
        target = target / NAME
    text = (Path(__file__).parent / NAME).read_bytes()
    if target.exists() and target.read_bytes() != text:
        raise InputError(f"{target}: another file stands there already; choose another name")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.write_bytes(text)
    temporary.replace(target)
    return target
