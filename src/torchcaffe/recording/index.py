"""recording.json with every field checked, so that what is damaged is named in words."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from torchcaffe.errors import RecordingError

FORMAT = "torchcaffe recording"
VERSION = 1

HEADER = 1024
"""More bytes than the header of a .npy file takes."""


@dataclass(frozen=True)
class Entry:
    """Where an array lies in arrays.npz, and what it must be."""

    array: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Fields:
    """One object of the JSON file; ``where`` leads to it in messages."""

    values: Mapping[str, Any]
    where: str
    sizes: Mapping[str, zipfile.ZipInfo]

    def raw(self, name: str) -> Any:
        """The value as it stands, None if there is none."""
        return self.values.get(name)

    def _typed(self, name: str, kinds: type | tuple[type, ...], words: str) -> Any:
        value = self.raw(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            got = "nothing" if value is None else repr(value)[:40]
            raise RecordingError(f'{self.where}: "{name}" takes {words}, got {got}')
        return value

    def text(self, name: str) -> str:
        """A string."""
        return str(self._typed(name, str, "a string"))

    def integer(self, name: str) -> int:
        """A whole number, not negative."""
        value = int(self._typed(name, int, "a whole number"))
        if value < 0:
            raise RecordingError(f'{self.where}: "{name}" takes a number from 0 on, got {value}')
        return value

    def number(self, name: str) -> float:
        """Any number, NaN and infinity as well."""
        return float(self._typed(name, (int, float), "a number"))

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        """One of a few strings."""
        value = self.text(name)
        if value not in options:
            listed = " or ".join(f'"{option}"' for option in options)
            raise RecordingError(f'{self.where}: "{name}" takes {listed}, got "{value}"')
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        values = self._typed(name, list, "a list")
        if not all(isinstance(value, str) for value in values):
            raise RecordingError(f'{self.where}: "{name}" takes a list of strings')
        return list(values)

    def words(self, name: str) -> dict[str, str]:
        """An object of strings."""
        return {key: str(value) for key, value in self.part(name).values.items()}

    def part(self, name: str) -> Fields:
        """An object in this one."""
        return Fields(self._typed(name, dict, "an object"), f"{self.where}: {name}", self.sizes)

    def parts(self, name: str) -> list[Fields]:
        """A list of objects."""
        found = []
        for place, value in enumerate(self._typed(name, list, "a list")):
            if not isinstance(value, dict):
                raise RecordingError(f'{self.where}: "{name}" takes a list of objects')
            found.append(Fields(value, f"{self.where}: {name}[{place}]", self.sizes))
        return found

    def shape(self) -> tuple[int, ...]:
        """The field "shape"."""
        sizes = self._typed("shape", list, "a list of sizes")
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise RecordingError(f'{self.where}: "shape" takes a list of sizes, got {sizes!r}')
        return tuple(sizes)

    def entry(self) -> Entry:
        """The array that this object stands for; it must be there in its full size."""
        array, shape = self.text("array"), self.shape()
        info = self.sizes.get(f"{array}.npy")
        if info is None:
            raise RecordingError(
                f"{self.where}: arrays.npz holds no array {array}; copy both files again"
            )
        expected = 4 * prod(shape)
        stored = info.compress_type == zipfile.ZIP_STORED
        if not stored or not 0 < info.file_size - expected < HEADER:
            raise RecordingError(
                f"{self.where}: array {array} takes {expected:,} bytes of float32 {shape}, but "
                f"arrays.npz holds {info.file_size:,} bytes there"
                f"{'' if stored else ', compressed; the recorder does not compress'}"
            )
        return Entry(array, shape)


def open_index(values: Any, path: Path, sizes: Mapping[str, zipfile.ZipInfo]) -> Fields:
    """The whole of recording.json, if it is one that this version reads."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise RecordingError(f"{path}: is not the index of a recording: it does not say so")
    if values.get("version") != VERSION:
        raise RecordingError(
            f"{path}: is of version {values.get('version')!r}, this torchcaffe reads version "
            f'{VERSION}; record again with the recorder that "torchcaffe record" writes'
        )
    return Fields(values, str(path), sizes)
