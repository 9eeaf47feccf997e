"""``.torchstate``: what Caffe's snapshots lose, in a safetensors file beside them.

Positions of the data, random streams, states that recurrent layers carry, and the losses that the
displayed loss averages. Numbers, strings and lists are JSON in the file's header, arrays tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from torchcaffe.errors import ParseError, SolverError
from torchcaffe.proto.files import open_error, replacing

VERSION = "1"
TENSOR = "__tensor__"


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write ``tree``; the file appears when it is whole.

    A tree is made of dictionaries with strings as keys, lists, strings, numbers, None, and arrays
    or tensors. Raises SolverError for anything else.
    """
    tensors: dict[str, Tensor] = {}
    packed = json.dumps(_packed(tree, "", tensors))
    data = save(tensors, {"torchcaffe state": VERSION, "tree": packed})
    with replacing(path) as file:
        file.write(data)


def read_tree(path: Path) -> dict[str, Any]:
    """The tree of a file, its arrays as tensors; ParseError if it is none."""
    if not path.is_file():
        raise open_error(path, "a .torchstate", FileNotFoundError())
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get("torchcaffe state") != VERSION:
                raise ParseError(
                    f"{path} is no state of torchcaffe's, or of a newer one: its version is "
                    f"{header.get('torchcaffe state')}, {VERSION} was expected"
                )
            tree: dict[str, Any] = _unpacked(json.loads(header["tree"]), file)
            return tree
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ParseError(f"{path} cannot be read as a state of torchcaffe's: {error}") from None


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value) or TENSOR in value:
            raise SolverError(f"a state's dictionary has strings as keys, {name} has others")
        return {key: _packed(item, f"{name}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value.copy())
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {TENSOR: name}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise SolverError(
        f"a state is saved without pickle, so it can hold numbers, strings, lists, dictionaries "
        f"and arrays; {name} is a {type(value).__name__}"
    )


def _unpacked(value: Any, file: Any) -> Any:
    if isinstance(value, dict):
        if TENSOR in value:
            return file.get_tensor(value[TENSOR])
        return {key: _unpacked(item, file) for key, item in value.items()}
    if isinstance(value, list):
        return [_unpacked(item, file) for item in value]
    return value
