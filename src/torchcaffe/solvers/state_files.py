"""Solver states on disk: ``.solverstate`` and ``.solverstate.h5``, as Caffe writes and reads them.

Caffe: ``src/caffe/solvers/sgd_solver.cpp`` (SnapshotSolverStateTo..., RestoreSolverStateFrom...).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from torchcaffe.errors import ParseError, SolverError
from torchcaffe.proto.blobs import blob_array, make_blob
from torchcaffe.proto.files import open_error
from torchcaffe.proto.schema import SolverState
from torchcaffe.proto.wire import read_wire
from torchcaffe.proto.wire_writer import write_wire
from torchcaffe.weights.hdf5 import replacing_hdf5

Array = np.ndarray[Any, np.dtype[Any]]
WANTED = "a solver state (.solverstate or .solverstate.h5)"


@dataclass(frozen=True)
class State:
    """What a solver state holds.

    ``learned_net`` is the path of the weights as it was written, None if there is none.
    """

    iter: int
    current_step: int
    learned_net: str | None
    history: list[Array]


def read_state(path: Path) -> State:
    """The state in a file; its name's end, .h5 or not, says of which kind, as in Caffe.

    Raises ParseError or SolverError.
    """
    return _read_hdf5(path) if path.name.endswith(".h5") else _read_proto(path)


def write_state(path: Path, state: State) -> None:
    """Write a file of the kind that its name's end says; it appears when it is whole."""
    if path.name.endswith(".h5"):
        _write_hdf5(path, state)
        return
    message = SolverState(iter=state.iter)
    if state.learned_net is not None:
        message.learned_net = state.learned_net
    message.history = [make_blob(value) for value in state.history]
    message.current_step = state.current_step
    write_wire(path, message)


def _read_proto(path: Path) -> State:
    message = read_wire(path, SolverState)
    if not message.has("iter"):
        raise SolverError(f"{path} has no iteration; is it {WANTED}?")
    history = [
        blob_array(blob, f"{path}: history {index}") for index, blob in enumerate(message.history)
    ]
    learned = message.learned_net if message.has("learned_net") else None
    return State(message.iter, message.current_step, learned, history)


def _read_hdf5(path: Path) -> State:
    if not path.exists():
        raise open_error(path, WANTED, FileNotFoundError())
    try:
        with h5py.File(path, "r") as file:
            missing = [key for key in ("iter", "current_step", "history") if key not in file]
            if missing:
                raise SolverError(
                    f"{path}: Caffe's HDF5 states have iter, current_step and history; this file "
                    f"lacks {', '.join(missing)}"
                )
            history = file["history"]
            values = [np.asarray(history[str(i)], np.float32) for i in range(len(history))]
            learned = file["learned_net"][()].decode() if "learned_net" in file else None
            return State(int(file["iter"][0]), int(file["current_step"][0]), learned, values)
    except (OSError, KeyError) as error:
        raise ParseError(f"{path} cannot be read as an HDF5 solver state: {error}") from None


def _write_hdf5(path: Path, state: State) -> None:
    with replacing_hdf5(path) as file:
        file.create_dataset("iter", data=np.array([state.iter], np.int32))
        if state.learned_net is not None:
            _write_string(file, "learned_net", state.learned_net.encode())
        file.create_dataset("current_step", data=np.array([state.current_step], np.int32))
        history = file.create_group("history")
        for index, value in enumerate(state.history):
            history.create_dataset(str(index), data=value)


def _write_string(file: Any, name: str, value: bytes) -> None:
    """A scalar string that ends with a NUL, as H5LTmake_dataset_string writes it."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(value) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space)
    dataset.write(space, space, np.array(value, f"S{len(value) + 1}"), kind)
