"""The kernels: a copy of numpy's OpenBLAS, with one thread and kernels of our choice."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from torchcaffe.errors import InputError

Array = np.ndarray[Any, np.dtype[np.float32]]

KERNELS = "Haswell"
"""OpenBLAS's name for those with AVX2 and FMA, on AMD's processors as well."""

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


class Kernels:
    """The routines of one loaded library that are used here; all arrays float32."""

    def __init__(self, library: ctypes.CDLL) -> None:
        real, whole, place = ctypes.c_float, ctypes.c_int64, ctypes.c_void_p
        kind = ctypes.c_int

        def routine(name: str, arguments: list[Any], result: Any = None) -> Any:
            function = getattr(library, f"scipy_{name}64_")
            function.argtypes, function.restype = arguments, result
            return function

        sizes = [whole, whole, whole]
        self._gemm = routine(
            "cblas_sgemm",
            [kind, kind, kind, *sizes, real, place, whole, place, whole, real, place, whole],
        )
        self._gemv = routine(
            "cblas_sgemv",
            [kind, kind, whole, whole, real, place, whole, place, whole, real, place, whole],
        )
        self._axpy = routine("cblas_saxpy", [whole, real, place, whole, place, whole])
        self._asum = routine("cblas_sasum", [whole, place, whole], real)
        self.name: str = routine("openblas_get_corename", [], ctypes.c_char_p)().decode()

    def gemm(self, a: Array, b: Array, c: Array, *, turn_a: bool, turn_b: bool, add: bool) -> None:
        """c = a @ b, or c + a @ b; views whose rows lie in order, a or b turned where asked."""
        rows, columns = c.shape
        self._gemm(
            ROW_MAJOR,
            TRANSPOSED if turn_a else PLAIN,
            TRANSPOSED if turn_b else PLAIN,
            rows,
            columns,
            a.shape[0] if turn_a else a.shape[1],
            1.0,
            a.ctypes.data,
            a.strides[0] // 4,
            b.ctypes.data,
            b.strides[0] // 4,
            float(add),
            c.ctypes.data,
            c.strides[0] // 4,
        )

    def sum_rows(self, a: Array) -> Array:
        """The sum of the rows of (rows, columns), as a product with ones."""
        ones, total = np.ones(a.shape[0], np.float32), np.zeros(a.shape[1], np.float32)
        places = (a.ctypes.data, a.shape[1], ones.ctypes.data, 1, 1.0, total.ctypes.data, 1)
        self._gemv(ROW_MAJOR, TRANSPOSED, *a.shape, 1.0, *places)
        return total

    def axpy(self, factor: float, x: Array, y: Array) -> None:
        """y = y + factor * x, in place; both (n,), in order."""
        self._axpy(x.size, factor, x.ctypes.data, 1, y.ctypes.data, 1)

    def asum(self, x: Array) -> float:
        """The sum of magnitudes."""
        return float(self._asum(x.size, x.ctypes.data, 1))


@cache
def kernels() -> Kernels:
    """The kernels; InputError, in words, if this machine has none of the kind."""
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    found = sorted(folder.glob("libscipy_openblas64_*"))
    if not found:
        raise InputError(
            "imitating OpenBLAS takes the one that comes with numpy's wheels, and this numpy has "
            "none; pip install --force-reinstall numpy"
        )
    # A library is loaded once: a copy keeps numpy's own as it is.
    with tempfile.TemporaryDirectory() as scratch, _settings():
        copy = shutil.copy(found[0], scratch)
        loaded = Kernels(ctypes.CDLL(copy))
    if loaded.name != KERNELS:
        raise InputError(f"imitating OpenBLAS takes its {KERNELS} kernels, got {loaded.name}")
    return loaded


def is_available() -> bool:
    """Whether ``imitate`` can work on this machine."""
    try:
        kernels()
    except (InputError, OSError, AttributeError):
        return False
    return True


@contextmanager
def _settings() -> Iterator[None]:
    wanted = {"OPENBLAS_CORETYPE": KERNELS, "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
