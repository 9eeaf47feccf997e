"""Weights files by their kind: caffemodel, HDF5, numpy."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from torchcaffe.errors import InputError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.files import open_error
from torchcaffe.weights.caffemodel import read_caffemodel, save_caffemodel
from torchcaffe.weights.hdf5 import read_hdf5, save_hdf5
from torchcaffe.weights.model import Weights
from torchcaffe.weights.numpy_files import read_npy, read_npz, save_npz

WANTED = "weights (.caffemodel, .caffemodel.h5, .npz or .npy)"


def read_weights(path: str | PathLike[str]) -> Weights:
    """Read a weights file, of a kind that its first bytes tell."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise open_error(path, WANTED, error) from None
    if head.startswith(b"\x89HDF"):
        return read_hdf5(path)
    if head.startswith(b"PK") and path.suffix == ".npz":
        return read_npz(path)
    if head.startswith(b"\x93NUMPY"):
        return read_npy(path)
    return read_caffemodel(path)


def save_weights(net: CaffeNet, path: str | PathLike[str]) -> None:
    """Write the net's weights; the suffix says how: .caffemodel, .h5 or .npz.

    The file is written under another name and then renamed. Raises InputError for other suffixes.
    """
    path = Path(path)
    writers = {".caffemodel": save_caffemodel, ".h5": save_hdf5, ".npz": save_npz}
    if path.suffix not in writers:
        raise InputError(
            f'{path}: weights are written as {", ".join(writers)}, got "{path.suffix}"'
        )
    writers[path.suffix](net, path)
