"""``.npz`` and ``.npy`` weights of the kind people dumped from pycaffe."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.errors import WeightsError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.files import replacing
from torchcaffe.weights.model import Array, SourceLayer, Weights

_PART = re.compile(r"^(?P<layer>.+?)[/._:](?P<part>\d+|w|b|weights?|bias(?:es)?)$", re.IGNORECASE)
_ORDER = {"w": 0, "weight": 0, "weights": 0, "b": 1, "bias": 1, "biases": 1}
_FORMS = (
    'arrays named "layer/0" and "layer/1" (also with "_", "." or ":", and w, b, weight, bias for '
    "0 and 1), or a dictionary of layers with lists or dictionaries of arrays"
)


def read_npz(path: Path) -> Weights:
    """Arrays named ``layer/0``, ``layer/1``, or ``layer_w`` and the like."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(f"{path} cannot be read as .npz: {error}") from None
    return _from_names(path, arrays)


def _from_names(path: Path, arrays: Mapping[str, Array]) -> Weights:
    layers: dict[str, dict[int, Array]] = {}
    for name, array in arrays.items():
        found = _PART.match(name)
        if not found:
            raise WeightsError(f'{path}: array "{name}" names no layer and blob; give {_FORMS}')
        part = found["part"].lower()
        index = int(part) if part.isdigit() else _ORDER[part]
        layers.setdefault(found["layer"], {})[index] = array
    return Weights(str(path), [_layer(path, name, blobs) for name, blobs in layers.items()])


def _layer(path: Path, name: str, blobs: Mapping[int, Array]) -> SourceLayer:
    if sorted(blobs) != list(range(len(blobs))):
        raise WeightsError(
            f'{path}: layer "{name}" has the blobs {", ".join(map(str, sorted(blobs)))}; '
            f"0 to {len(blobs) - 1} were expected"
        )
    ordered = [_numbers(path, name, blobs[index]) for index in range(len(blobs))]
    return SourceLayer(name, ordered, [blob.ndim == 4 for blob in ordered])


def _numbers(path: Path, name: str, value: Any) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise WeightsError(f'{path}: layer "{name}" holds {type(value).__name__}, not numbers')
    return np.ascontiguousarray(value, np.float32)


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays, containers, strings and numbers; refuses all that could act."""

    ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
            ("_codecs", "encode"),
            ("collections", "OrderedDict"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Only what arrays are made of."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_npy(path: Path) -> Weights:
    """A dictionary saved with ``numpy.save``, by Python 2 or 3.

    numpy stores a dictionary as a pickle. It is read by an unpickler that makes arrays and plain
    containers and nothing else, so that reading it cannot run anybody's code.
    """
    data = path.read_bytes()
    stream = io.BytesIO(data)
    try:
        numpy_format: Any = np.lib.format
        first = numpy_format.read_magic(stream) == (1, 0)
        header = "read_array_header_1_0" if first else "read_array_header_2_0"
        shape, _, dtype = getattr(numpy_format, header)(stream)
        if dtype.kind != "O" or shape != ():
            raise WeightsError(f"{path} holds an array of {dtype} {shape}; expected {_FORMS}")
        content = _ArraysOnly(stream, encoding="latin1").load()
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise WeightsError(f"{path} cannot be read as a dictionary of arrays: {error}") from None
    content = content.item() if isinstance(content, np.ndarray) and not content.ndim else content
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds {type(content).__name__}; expected {_FORMS}")
    return _from_dictionary(path, {_text(name): value for name, value in content.items()})


def _text(name: Any) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def _from_dictionary(path: Path, content: Mapping[str, Any]) -> Weights:
    if content and all(
        isinstance(value, np.ndarray) and value.dtype != object for value in content.values()
    ):
        return _from_names(path, content)
    layers = []
    for name, value in content.items():
        if isinstance(value, dict):
            parts = {_text(part).lower(): item for part, item in value.items()}
            unknown = [part for part in parts if part not in _ORDER and not part.isdigit()]
            if unknown:
                raise WeightsError(
                    f'{path}: layer "{name}" has {", ".join(unknown)}; expected {_FORMS}'
                )
            blobs = {
                _ORDER[part] if part in _ORDER else int(part): item for part, item in parts.items()
            }
        elif isinstance(value, (list, tuple)) or (
            isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1
        ):
            blobs = dict(enumerate(value))
        else:
            raise WeightsError(
                f'{path}: layer "{name}" holds {type(value).__name__}; expected {_FORMS}'
            )
        layers.append(_layer(path, name, blobs))
    return Weights(str(path), layers)


def save_npz(net: CaffeNet, path: Path) -> None:
    """Write arrays named ``layer/index``."""
    arrays = {
        f"{layer}/{index}": value.detach().cpu().float().numpy()
        for layer, values in net.params.items()
        for index, value in enumerate(values)
    }
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
