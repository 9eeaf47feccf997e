"""The tables are Boost's, double for double."""

import hashlib

import numpy as np
import pytest

from torchcaffe.random import ziggurat

# Digests of Boost 1.74's own tables: all x, then all y, as little-endian doubles.
NORMAL = "07679b29e4f08079a7ca4d6c4ecd0fa80bb550d58503ef05bd825e16ada7048e"
EXPONENTIAL = "15c550f0f97d16f7c14610ebdab1351f0822d50817db7dac47c90b7a69b096af"


@pytest.mark.parametrize(
    ("tables", "layers", "digest"),
    [(ziggurat.normal(), 128, NORMAL), (ziggurat.exponential(), 256, EXPONENTIAL)],
    ids=["normal", "exponential"],
)
def test_tables_are_those_of_boost(tables: ziggurat.Ziggurat, layers: int, digest: str) -> None:
    assert tables.x.shape == tables.y.shape == (layers + 1,)
    stored = np.concatenate([tables.x, tables.y]).astype("<f8").tobytes()
    assert hashlib.sha256(stored).hexdigest() == digest


@pytest.mark.parametrize("tables", [ziggurat.normal(), ziggurat.exponential()])
def test_all_layers_have_the_same_area(tables: ziggurat.Ziggurat) -> None:
    areas = tables.x[:-1] * np.diff(tables.y)
    np.testing.assert_allclose(areas[:-1], areas[0], rtol=1e-12)


def test_steps_are_rounded_after_the_difference() -> None:
    tables = ziggurat.normal()
    assert tables.run.dtype == tables.rise.dtype == np.float32
    assert tables.run[5] == np.float32(tables.x[5] - tables.x[6])
    assert (tables.run != tables.x32[:-1] - tables.x32[1:]).any()
    assert tables.rise[5] == np.float32(tables.y[6] - tables.y[5])
