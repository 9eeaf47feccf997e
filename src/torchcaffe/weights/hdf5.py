"""``.caffemodel.h5``: a group "data", a group for each layer, a dataset for each blob."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from torchcaffe.errors import InputError, WeightsError
from torchcaffe.net import CaffeNet
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


def save_hdf5(net: CaffeNet, path: Path) -> None:
    """Write the groups that Caffe writes; InputError for layer names that HDF5 cannot hold.

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    params = net.params
    try:
        with h5py.File(temporary, "w") as file:
            data = file.create_group("data")
            for name in names:
                group = data.create_group(name)
                for index, value in enumerate(params.get(name, [])):
                    if net.owner(name, index) == (name, index):
                        group.create_dataset(str(index), data=value.detach().cpu().float().numpy())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)
