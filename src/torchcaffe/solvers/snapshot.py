"""Snapshots: the files of a moment of training, and finding the newest.

Caffe: ``src/caffe/solver.cpp`` (Snapshot...), ``src/caffe/net.cpp`` (ToProto, ToHDF5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torchcaffe.errors import CaffeError, SolverError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.wire_writer import write_wire
from torchcaffe.solvers.state_files import State, read_state
from torchcaffe.solvers.torch_state import read_tree
from torchcaffe.weights import read_weights, save_weights
from torchcaffe.weights.caffemodel import net_to_proto
from torchcaffe.weights.hdf5 import replacing_hdf5, write_data

Array = np.ndarray[Any, np.dtype[Any]]

SUFFIXES = {
    "BINARYPROTO": (".caffemodel", ".solverstate"),
    "HDF5": (".caffemodel.h5", ".solverstate.h5"),
    "TORCH": (".caffemodel", ".solverstate"),
}
"""Of each format the ends of the model's and the state's name; TORCH adds a ``.torchstate``."""

TORCH_STATE = ".torchstate"
_STATES = (TORCH_STATE, ".solverstate", ".solverstate.h5")


def write_model(net: CaffeNet, path: Path, updates: Mapping[Tensor, Tensor] | None) -> None:
    """Write the weights; with ``updates``, also what the latest step subtracted from each.

    Caffe calls that the diff (``snapshot_diff``). It appears when it is whole.
    """
    if updates is None:
        save_weights(net, path)
    elif path.suffix == ".h5":
        _write_hdf5_diffs(net, path, updates)
    else:
        _write_proto_diffs(net, path, updates)


def _write_proto_diffs(net: CaffeNet, path: Path, updates: Mapping[Tensor, Tensor]) -> None:
    message = net_to_proto(net)
    values = _by_layer(net, updates)
    for layer in message.layer:
        for blob, value in zip(layer.blobs, values.get(layer.name, []), strict=True):
            blob.diff = value.reshape(-1)
    write_wire(path, message)


def _write_hdf5_diffs(net: CaffeNet, path: Path, updates: Mapping[Tensor, Tensor]) -> None:
    values = _by_layer(net, updates)
    with replacing_hdf5(path) as file:
        write_data(net, file, path)
        diffs = file.create_group("diff")
        for step in net.steps:
            group = diffs.create_group(step.name)
            for index, value in enumerate(values.get(step.name, [])):
                group.create_dataset(str(index), data=value)


def _by_layer(net: CaffeNet, updates: Mapping[Tensor, Tensor]) -> dict[str, list[Array]]:
    """For each layer the updates of its blobs, those of shared ones too."""
    params = net.params
    result = {}
    for layer, blobs in params.items():
        owners = [net.owner(layer, index) for index in range(len(blobs))]
        result[layer] = [
            updates[params[owner][index]].detach().cpu().float().reshape(blob.shape).numpy()
            for (owner, index), blob in zip(owners, blobs, strict=True)
        ]
    return result


def newest_snapshot(prefix: str | PathLike[str]) -> Path | None:
    """The state to resume from: that of the highest iteration whose files are all whole.

    prefix
        the solver's snapshot_prefix.

    The state's weights are looked for where it says, from the current folder, as ``restore`` does.
    Of one iteration's states, a ``.torchstate`` comes before a ``.solverstate`` and that before a
    ``.solverstate.h5``. None if there is none.
    """
    start = Path(f"{prefix}_iter_")
    pattern = re.compile(re.escape(start.name) + r"(\d+)(\.\w+(?:\.h5)?)$")
    found = []
    for path in start.parent.glob("*"):
        match = pattern.match(path.name)
        if match and match[2] in _STATES:
            found.append((-int(match[1]), _STATES.index(match[2]), path))
    return next((path for _, _, path in sorted(found) if is_whole(path)), None)


def is_whole(path: Path) -> bool:
    """Whether a state and the weights that it names can be read."""
    try:
        if path.name.endswith(TORCH_STATE):
            read_tree(path)
            path = path.with_name(path.name.removesuffix(TORCH_STATE) + ".solverstate")
        state = read_state(path)
        if state.learned_net is not None:
            read_weights(find_model(path, state))
    except CaffeError:
        return False
    return True


def find_model(path: Path, state: State) -> Path:
    """Where the weights of a state lie: its learned_net, from the current folder.

    Raises SolverError if they do not.
    """
    assert state.learned_net is not None
    model = Path(state.learned_net)
    if model.is_file():
        return model
    beside = path.parent / model.name
    hint = (
        f"; {beside} is there: run from the folder that the path begins in, or give it as "
        f"restore(..., model=)"
        if beside.is_file()
        else ""
    )
    raise SolverError(
        f'{path}: its weights are in "{state.learned_net}", which is looked for from the current '
        f"folder, {Path.cwd()}, as in Caffe, and is not there{hint}"
    )
