"""``.caffemodel.h5``: a group "data", a group for each layer, a dataset for each blob."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from torchcaffe.errors import InputError, WeightsError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.files import replacing
from torchcaffe.weights.model import SourceLayer, Weights


def read_hdf5(path: Path) -> Weights:
    """The blobs, in the order of the layers' names, as Caffe loads them."""
    try:
        with h5py.File(path, "r") as file:
            if "data" not in file:
                raise WeightsError(
                    f'{path}: Caffe\'s HDF5 weights have a group "data", this file has '
                    f"{', '.join(sorted(file)) or 'nothing'}"
                )
            layers = [
                _source_layer(path, name, file["data"][name]) for name in sorted(file["data"])
            ]
    except OSError as error:
        raise WeightsError(f"{path} cannot be read as HDF5: {error}") from None
    return Weights(str(path), layers, last_wins=True)


def _source_layer(path: Path, name: str, group: Any) -> SourceLayer:
    if not isinstance(group, h5py.Group):
        raise WeightsError(f'{path}: "data/{name}" is a dataset; a group per layer was expected')
    names = sorted(group, key=lambda key: (len(key), key))
    if not all(key.isdecimal() for key in names):
        raise WeightsError(
            f'{path}: layer "{name}" has the datasets {", ".join(names)}; Caffe numbers them, 0, '
            f"1 and so on"
        )
    blobs = [np.asarray(group[key], np.float32) for key in names]
    return SourceLayer(name, blobs, [False] * len(blobs), [int(key) for key in names])


@contextmanager
def replacing_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to write, which takes the place of ``path`` if the block ends without error.

    It is made in memory, because the library crashes where a disk is full. Raises InputError if
    ``path`` cannot be written.
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with replacing(path) as target:
        target.write(image)


def save_hdf5(net: CaffeNet, path: Path) -> None:
    """Write the groups that Caffe writes; InputError for layer names that HDF5 cannot hold."""
    with replacing_hdf5(path) as file:
        write_data(net, file, path)


def write_data(net: CaffeNet, file: h5py.File, path: Path) -> None:
    """Write the weights to an open file that will be ``path``.

    A blob that several layers share is written once, with the layer that has it first.
    """
    names = [step.name for step in net.steps]
    for name in names:
        if "/" in name or names.count(name) > 1:
            why = 'holds a "/"' if "/" in name else "occurs twice"
            raise InputError(
                f'{path}: layer name "{name}" {why}, which HDF5 weights cannot hold (Caffe stops '
                f"here as well); save a .caffemodel"
            )
    params = net.params
    data = file.create_group("data")
    for name in names:
        group = data.create_group(name)
        for index, value in enumerate(params.get(name, [])):
            if net.owner(name, index) == (name, index):
                group.create_dataset(str(index), data=value.detach().cpu().float().numpy())
