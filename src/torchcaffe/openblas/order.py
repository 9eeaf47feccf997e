"""Products and sums cut into pieces as OpenBLAS 0.3.21 cuts them for two threads.

A kernel's order depends on where its piece begins and ends. In OpenBLAS's own terms, which are of
columns first, m is a product's columns here and n its rows.

OpenBLAS: ``interface/gemm.c``, ``driver/level3/level3_thread.c``, ``interface/axpy.c``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from torchcaffe.openblas.library import Array, kernels

SMALL = 65536 * 4
"""Multiply-adds up to which a product is computed by one thread."""

M_PIECE, K_PIECE, M_UNIT = 320, 320, 8
LONG = 10000
"""Numbers from which a vector is shared by two threads."""

FUSED = 32
"""Numbers that a row kernel takes at a time; those that are left are not multiplied and added in
one rounding."""

Span = tuple[int, int]


def gemm(
    a: Array, b: Array, c: Array | None = None, *, turn_a: bool = False, turn_b: bool = False
) -> Array:
    """a @ b, or in place c + a @ b; (rows, k) and (k, columns), or turned."""
    depth, rows = a.shape if turn_a else a.shape[::-1]
    columns = b.shape[0] if turn_b else b.shape[1]
    given = c is not None
    result = c if c is not None else np.zeros((rows, columns), np.float32)
    if rows * columns * depth <= SMALL:
        kernels().gemm(a, b, result, turn_a=turn_a, turn_b=turn_b, add=given)
        return result
    for (r0, r1), (c0, c1) in _pieces(rows, columns):
        for k0, k1 in _depths(depth):
            kernels().gemm(
                a[k0:k1, r0:r1] if turn_a else a[r0:r1, k0:k1],
                b[c0:c1, k0:k1] if turn_b else b[k0:k1, c0:c1],
                result[r0:r1, c0:c1],
                turn_a=turn_a,
                turn_b=turn_b,
                add=given or k0 > 0,
            )
    return result


def _pieces(rows: int, columns: int) -> Iterator[tuple[Span, Span]]:
    """Rows and columns of each kernel call.

    Each thread has half of the columns, and packs half of the rows for both, in two parts.
    """
    halves = _halves(columns) if columns >= 4 else [(0, columns)]
    for packer, part in enumerate(_halves(rows)):
        for chunk in _steps(part, max(1, (part[1] - part[0] + 1) // 2)):
            for thread, columns_of in enumerate(halves):
                own = thread == packer or len(halves) == 1
                for number, span in enumerate(_column_steps(columns_of)):
                    for row_span in _row_calls(chunk, own and number == 0):
                        yield row_span, span


def _row_calls(chunk: Span, while_packing: bool) -> list[Span]:
    """A chunk of rows as calls that come to the same.

    While a thread packs, it goes on by 12 and then by 4, as it does in one call. Later the kernel
    is given the whole chunk, and has a way of its own with 8 rows that are left after the twelves:
    that of rows one by one, or up to 3.
    """
    start, end = chunk
    left = (end - start) % 12
    if while_packing or left < 8:
        return [chunk]
    middle = end - left
    edges = [middle, middle + 3, middle + 6, middle + 8, end]
    calls = [(start, middle), *pairwise(edges)]
    return [(first, last) for first, last in calls if last > first]


def _column_steps(part: Span) -> Iterator[Span]:
    start, end = part
    while start < end:
        left = end - start
        size = left
        if left >= 2 * M_PIECE:
            size = M_PIECE
        elif left > M_PIECE:
            half = left // 2 if start == part[0] else (left + 1) // 2
            size = -(-half // M_UNIT) * M_UNIT
        yield start, start + size
        start += size


def _depths(depth: int) -> Iterator[Span]:
    start = 0
    while start < depth:
        left = depth - start
        size = K_PIECE if left >= 2 * K_PIECE else (left + 1) // 2 if left > K_PIECE else left
        yield start, start + size
        start += size


def _halves(size: int) -> list[Span]:
    middle = (size + 1) // 2
    return [(0, middle), (middle, size)]


def _steps(part: Span, step: int) -> Iterator[Span]:
    for start in range(part[0], part[1], step):
        yield start, min(start + step, part[1])


def axpy(factor: float, x: Array, y: Array) -> None:
    """y = y + factor * x, in place; both (n,), in order."""
    for start, end in _halves(x.size) if x.size > LONG else [(0, x.size)]:
        kernels().axpy(factor, x[start:end], y[start:end])


def axpy_rows(factor: float, x: Array, y: Array) -> None:
    """As ``axpy`` for each row of (rows, n), n at most LONG: all rows' kernels in one go."""
    fused = x.shape[1] // FUSED * FUSED
    if fused:
        whole = np.ascontiguousarray(y[:, :fused])
        kernels().axpy(factor, np.ascontiguousarray(x[:, :fused]), whole)
        y[:, :fused] = whole
    y[:, fused:] += np.float32(factor) * x[:, fused:]


def asum(x: Array) -> float:
    """The sum of magnitudes of at most LONG numbers."""
    return kernels().asum(x)


def sum_rows(x: Array) -> Array:
    """The sum of the rows of (rows, columns)."""
    return kernels().sum_rows(x)
