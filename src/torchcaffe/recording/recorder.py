"""Hand out the recorder, a single file that runs in a person's own old pycaffe."""

from __future__ import annotations

from os import PathLike


def write_recorder(path: str | PathLike[str]) -> None:
    """Write record_caffe.py to ``path`` (a file, or a folder to put it in).

    InputError if something else already stands there, or the folder does not exist.
    """
    raise NotImplementedError
