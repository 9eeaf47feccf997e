"""Read a recording: the folder that record_caffe.py writes.

``recording.json`` lists everything in words, ``arrays.npz`` holds the values, ``net.prototxt`` is
the net as it was recorded. Arrays are read when they are asked for: those of a deep net do not fit
into memory at once.
"""

from __future__ import annotations

import bisect
import io
import json
import zipfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.errors import RecordingError
from torchcaffe.recording.index import Entry, Fields, open_index

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class RecordedLayer:
    """One layer as Caffe ran it, implicit splits included.

    ``bottoms`` is None where that pycaffe did not tell them; ``tops`` are then the blobs that the
    layer changed.
    """

    name: str
    type: str
    bottoms: tuple[str, ...] | None
    tops: tuple[str, ...]


@dataclass(frozen=True)
class RecordedParam:
    """One parameter blob; ``changed`` where the forward pass gave it other values."""

    layer: str
    index: int
    shape: tuple[int, ...]
    sha256: str
    stored: bool
    changed: bool

    @property
    def key(self) -> tuple[str, int]:
        """Layer and index."""
        return self.layer, self.index


class Recording:
    """What Caffe did with one net, in one pass.

    phase         "TEST" or "TRAIN"
    seed          given to ``caffe.set_random_seed`` before the pass; None if that Caffe has none
    net_text      the prototxt as it was recorded
    layers        in the order they ran
    params        in the order of the layers
    outputs       the net's outputs by name
    loss          the sum of the weighted losses, as Caffe reported it
    versions      what ran: caffe, numpy, python, platform, blas, mode (CPU or GPU)
    training      losses and checksums of a training run, as the recorder wrote them, or None
    has_gradients whether a backward pass was recorded
    """

    def __init__(self, folder: Path, index: Fields, arrays: zipfile.ZipFile, net_text: str) -> None:
        self.path = folder
        self.net_text = net_text
        self._arrays = arrays
        self.phase = index.choice("phase", ("TEST", "TRAIN"))
        self.seed = index.integer("seed") if index.raw("seed") is not None else None
        self.loss = index.number("loss")
        self.outputs = tuple(index.texts("outputs"))
        self.versions = index.words("versions")
        self.date = index.text("date")
        self.training: dict[str, Any] | None = index.raw("training")
        self._inputs = {part.text("name"): part.entry() for part in index.parts("inputs")}
        self._read_layers(index)
        self._read_params(index)
        self.has_gradients = index.raw("diffs") is not None
        self._top_diffs = self._named(index, "top_diffs")
        self._diffs = self._named(index, "diffs")

    @staticmethod
    def _named(index: Fields, name: str) -> dict[str, Entry]:
        if index.raw(name) is None:
            return {}
        return {part.text("name"): part.entry() for part in index.parts(name)}

    def _read_layers(self, index: Fields) -> None:
        self._history: dict[str, list[tuple[int, Entry]]] = {}
        for name, entry in {**self._inputs, **self._named(index, "initial")}.items():
            self._history[name] = [(-1, entry)]
        layers = []
        self._bottom_diffs: list[list[Entry] | None] = []
        for place, part in enumerate(index.parts("layers")):
            tops = part.parts("tops")
            for top in tops:
                self._history.setdefault(top.text("name"), []).append((place, top.entry()))
            bottoms = tuple(part.texts("bottoms")) if part.raw("bottoms") is not None else None
            names = tuple(top.text("name") for top in tops)
            layers.append(RecordedLayer(part.text("name"), part.text("type"), bottoms, names))
            diffs = part.parts("bottom_diffs") if part.raw("bottom_diffs") is not None else None
            self._bottom_diffs.append(None if diffs is None else [diff.entry() for diff in diffs])
        self.layers = tuple(layers)

    def _read_params(self, index: Fields) -> None:
        params = []
        self._params: dict[tuple[str, int], dict[str, Entry]] = {}
        for part in index.parts("params"):
            stored = {
                name: part.part(name).entry()
                for name in ("after", "diff")
                if part.raw(name) is not None
            }
            if part.raw("array") is not None:
                stored["before"] = part.entry()
            layer, place = part.text("layer"), part.integer("index")
            shape, digest = part.shape(), part.text("sha256")
            params.append(
                RecordedParam(layer, place, shape, digest, "before" in stored, "after" in stored)
            )
            self._params[layer, place] = stored
        self.params = tuple(params)

    @property
    def inputs(self) -> dict[str, Array]:
        """What stood on the net's inputs, and what its data layers delivered."""
        return {name: self._read(entry) for name, entry in self._inputs.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of ``inputs``: pass them to ``torchcaffe.load(..., inputs=)``."""
        return {name: entry.shape for name, entry in self._inputs.items()}

    def value(self, place: int, blob: str) -> Array:
        """What ``blob`` held after layer number ``place`` had run (-1: before the first)."""
        history = self._history.get(blob, [])
        last = bisect.bisect_right(history, place, key=lambda item: item[0])
        if not last:
            before = f'after layer "{self.layers[place].name}"' if place >= 0 else "at the start"
            raise RecordingError(f'{self.path}: holds no blob "{blob}" {before}')
        return self._read(history[last - 1][1])

    def final(self, blob: str) -> Array:
        """What ``blob`` held in the end."""
        return self.value(len(self.layers) - 1, blob)

    def param(self, layer: str, index: int, which: str = "before") -> Array:
        """A parameter blob "before" the pass or "after" it, or its gradient, "diff"."""
        stored = self._params.get((layer, index))
        if stored is None:
            raise RecordingError(f'{self.path}: layer "{layer}" has no parameter blob {index}')
        if which not in stored:
            way = {"before": ", only its checksum (--no-weights)", "after": ": the pass kept it"}
            raise RecordingError(
                f'{self.path}: layer "{layer}", blob {index}: no values are stored'
                f"{way.get(which, '; record with --backward')}"
            )
        return self._read(stored[which])

    @property
    def top_diffs(self) -> dict[str, Array]:
        """The gradients put on outputs before the backward pass; losses kept their weights."""
        return {name: self._read(entry) for name, entry in self._top_diffs.items()}

    @property
    def diffs(self) -> dict[str, Array]:
        """The gradient of every blob after the backward pass."""
        return {name: self._read(entry) for name, entry in self._diffs.items()}

    def bottom_diffs(self, place: int) -> list[Array] | None:
        """The gradients that layer ``place`` gave its bottoms; None where they were not told."""
        entries = self._bottom_diffs[place]
        return None if entries is None else [self._read(entry) for entry in entries]

    def _read(self, entry: Entry) -> Array:
        where = f"{self.path / 'arrays.npz'}: array {entry.array}"
        try:
            raw = self._arrays.read(f"{entry.array}.npy")
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise RecordingError(f"{where} cannot be read: {error}; copy the file again") from error
        try:
            values = np.load(io.BytesIO(raw), allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise RecordingError(f"{where} is no .npy array: {error}; record again") from error
        if values.shape != entry.shape or values.dtype != np.float32:
            raise RecordingError(
                f"{where} is {values.dtype} {values.shape}, but recording.json says float32 "
                f"{entry.shape}; copy both files again"
            )
        return np.asarray(values, np.float32)


def read_recording(path: str | PathLike[str]) -> Recording:
    """Read the recording in folder ``path`` (or the recording.json in it).

    RecordingError if it is missing, cut short, changed, or of another version.
    """
    given = Path(path)
    folder = given.parent if given.name == "recording.json" else given
    index_path = folder / "recording.json"
    if not index_path.is_file():
        what = "there is no such folder" if not folder.exists() else "holds no recording.json"
        raise RecordingError(
            f"{folder}: {what}; a recording is the folder that record_caffe.py writes, and "
            f'"torchcaffe record" writes record_caffe.py'
        )
    net_text = _net_text(folder / "net.prototxt")
    arrays = _open_arrays(folder / "arrays.npz")
    sizes = {info.filename: info for info in arrays.infolist()}
    try:
        text = index_path.read_text(encoding="utf-8")
        index = open_index(json.loads(text), index_path, sizes)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordingError(
            f"{index_path}: is not JSON, or was cut short: {error}; copy it again"
        ) from error
    return Recording(folder, index, arrays, net_text)


def _net_text(path: Path) -> str:
    if not path.is_file():
        raise RecordingError(f"{path}: is missing; copy the whole folder of the recording")
    return path.read_bytes().decode("utf-8", "replace")


def _open_arrays(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise RecordingError(f"{path}: is missing; copy the whole folder of the recording")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise RecordingError(
            f"{path}: is no .npz file, or was cut short at {path.stat().st_size:,} bytes; copy it "
            f"again"
        ) from error
