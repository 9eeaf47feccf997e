"""How long the weights of the full GOTURN net take to fill, beside numpy's own normal values.

OMP_NUM_THREADS=1 python benchmarks/fillers.py
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable

import numpy as np

from torchcaffe.fillers import fill
from torchcaffe.proto.schema import FillerParameter
from torchcaffe.random import Mersenne

Blob = tuple[tuple[int, ...], FillerParameter]

ROUNDS = 3


def gaussian(std: float) -> FillerParameter:
    return FillerParameter(type="gaussian", std=std)


def constant(value: float) -> FillerParameter:
    return FillerParameter(type="constant", value=value)


TOWER: list[Blob] = [
    ((96, 3, 11, 11), gaussian(0.01)),
    ((96,), constant(0)),
    ((256, 48, 5, 5), gaussian(0.01)),
    ((256,), constant(1)),
    ((384, 256, 3, 3), gaussian(0.01)),
    ((384,), constant(0)),
    ((384, 192, 3, 3), gaussian(0.01)),
    ((384,), constant(1)),
    ((256, 192, 3, 3), gaussian(0.01)),
    ((256,), constant(1)),
]
HEAD: list[Blob] = [
    ((4096, 2 * 256 * 6 * 6), gaussian(0.005)),
    ((4096,), constant(1)),
    ((4096, 4096), gaussian(0.005)),
    ((4096,), constant(1)),
    ((4096, 4096), gaussian(0.005)),
    ((4096,), constant(1)),
    ((4, 4096), gaussian(0.01)),
    ((4,), constant(0)),
]
GOTURN = TOWER + TOWER + HEAD
XAVIER = [(shape, FillerParameter(type="xavier")) for shape, _ in GOTURN]


def fill_all(blobs: list[Blob]) -> None:
    stream = Mersenne(1701)
    for shape, filler in blobs:
        fill(filler, shape, stream)


def numpy_normal() -> None:
    generator = np.random.default_rng(1701)
    for shape, _ in GOTURN:
        generator.standard_normal(shape, np.float32)


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    count = sum(math.prod(shape) for shape, _ in GOTURN)
    rows: dict[str, Callable[[], None]] = {
        "numpy standard_normal, float32": numpy_normal,
        "GOTURN as it is (gaussian, constant)": lambda: fill_all(GOTURN),
        "GOTURN's shapes, all xavier": lambda: fill_all(XAVIER),
    }
    # Every row runs in every round, so that a busy machine is busy for all of them.
    rounds = [{name: seconds(work) for name, work in rows.items()} for _ in range(ROUNDS)]
    best = {name: min(times[name] for times in rounds) for name in rows}
    peer = best["numpy standard_normal, float32"]
    print(f"{count:,} values, best of {ROUNDS}")
    for name, taken in best.items():
        rate = count / taken / 1e6
        print(f"{name:38} {taken:6.2f} s  {rate:6.0f} M values/s  {taken / peer:5.2f} x numpy")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    largest = max(math.prod(shape) for shape, _ in GOTURN) * 4 / 2**20
    print(f"peak memory {peak:.0f} MiB, of which the largest blob {largest:.0f} MiB")


if __name__ == "__main__":
    main()
