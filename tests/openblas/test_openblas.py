"""OpenBLAS's order: the bits of OpenBLAS 0.3.21 with Haswell kernels and two threads.

The numbers are checksums (zlib.crc32) of what Debian 12's libopenblas0-pthread 0.3.21+ds-4 gave.
"""

import zlib

import numpy as np
import pytest
import torch

from torchcaffe import Solver
from torchcaffe.errors import InputError
from torchcaffe.openblas import imitate, is_available
from torchcaffe.openblas.order import asum, axpy, axpy_rows, gemm, sum_rows
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import NetParameter, SolverParameter

pytestmark = pytest.mark.skipif(not is_available(), reason="no OpenBLAS with Haswell kernels")

GEMM = {
    (False, False, 12, 729, 363): 2426864912,
    (False, False, 8, 169, 150): 3464225335,
    (False, False, 16, 169, 150): 2873798624,
    (False, False, 32, 512, 200): 2919515617,
    (False, False, 384, 169, 2304): 3773726005,
    (False, False, 33, 500, 400): 2958642336,
    (False, False, 40, 36, 300): 1962268444,
    (False, False, 5, 900, 700): 3793687992,
    (False, True, 50, 64, 288): 2589456551,
    (False, True, 50, 4, 4096): 819526901,
    (False, True, 50, 96, 96): 3343593103,
    (True, False, 64, 288, 50): 3671598123,
    (True, False, 200, 130, 31): 992699466,
}
AXPY = {
    4: 776651659,
    36: 51818877,
    169: 1035343142,
    10001: 1403440960,
    20000: 1708212189,
    30007: 2602202693,
}
ASUM = {4: 3.1640539169311523, 31: 21.701095581054688, 200: 156.1793670654297}
SUM_ROWS = {(50, 64): 676222241, (50, 4): 2118507160, (50, 4096): 1285874193, (7, 3): 755646758}


def numbers(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(1701)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.tobytes())


@pytest.mark.parametrize(("case", "expected"), GEMM.items())
def test_products(case: tuple[bool, bool, int, int, int], expected: int) -> None:
    turn_a, turn_b, rows, columns, depth = case
    a, b = numbers(
        (depth, rows) if turn_a else (rows, depth), (columns, depth) if turn_b else (depth, columns)
    )
    assert checksum(gemm(a, b, turn_a=turn_a, turn_b=turn_b)) == expected


def test_a_product_may_be_added() -> None:
    a, b, c = numbers((50, 700), (700, 90), (50, 90))
    exact = c + a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(gemm(a, b, c), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("size", "expected"), AXPY.items())
def test_additions(size: int, expected: int) -> None:
    x, y = numbers((size,), (size,))
    axpy(float(np.float32(0.1)), x, y)
    assert checksum(y) == expected


def test_additions_of_rows_are_those_of_each_row() -> None:
    x, y = numbers((7, 169), (7, 169))
    each = y.copy()
    axpy_rows(float(np.float32(0.1)), x, y)
    for row, other in zip(x, each, strict=True):
        axpy(float(np.float32(0.1)), row, other)
    np.testing.assert_array_equal(y, each)


@pytest.mark.parametrize(("size", "expected"), ASUM.items())
def test_magnitudes(size: int, expected: float) -> None:
    assert asum(numbers((size,))[0]) == expected


@pytest.mark.parametrize(("shape", "expected"), SUM_ROWS.items())
def test_rows(shape: tuple[int, int], expected: int) -> None:
    assert checksum(sum_rows(numbers(shape)[0])) == expected


NET = """
layer { name: "data" type: "Input" top: "data" top: "target"
        input_param { shape { dim: 5 dim: 3 dim: 9 dim: 9 } shape { dim: 5 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 0 }
        param { lr_mult: 0 } convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 3
        weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { alpha: 0.5 } }
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "neg" type: "Power" bottom: "target" top: "neg" power_param { scale: -1 } }
layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "neg" top: "diff" }
layer { name: "loss" type: "Reduction" bottom: "diff" top: "loss" loss_weight: 1
        reduction_param { operation: ASUM } }
"""
SOLVER = 'base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 random_seed: 1'


def make(net: str = NET, solver: str = SOLVER, **options: object) -> Solver:
    param = parse_text(solver, SolverParameter)
    param.net_param = parse_text(net, NetParameter)

    def batch(number: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(number)
        return {
            "data": rng.standard_normal((5, 3, 9, 9), np.float32),
            "target": rng.standard_normal((5, 4), np.float32),
        }

    return Solver(param, batches=batch, **options)


def test_a_run_is_the_same_but_for_rounding() -> None:
    ours, torchs = make(), make()
    imitate(ours)
    for _ in range(10):
        ours.step(1)
        torchs.step(1)
        np.testing.assert_allclose(ours.loss, torchs.loss, rtol=1e-5)
    for one, other in zip(ours.history, torchs.history, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    assert ours.optimizer.history([e.value for e in ours.learnable])[0] is ours.history[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"conv" param { lr_mult: 0 }',
            '"conv" param { lr_mult: 1 }',
            "only the forward pass is imitated",
        ),
        ("alpha: 0.5", "norm_region: WITHIN_CHANNEL", "forward pass across channels"),
        ("operation: ASUM", "operation: SUMSQ", "of Reduction the ASUM of everything"),
        ("num_output: 4 weight", "num_output: 4 bias_term: false weight", "with axis 1 and a bias"),
        (
            'type: "Power" bottom: "target" top: "neg" power_param { scale: -1 }',
            'type: "TanH" bottom: "target" top: "neg"',
            'layer "neg": TanH is not among what is imitated',
        ),
    ],
)
def test_layers_that_are_not_imitated(old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        imitate(make(NET.replace(old, new)))


@pytest.mark.parametrize(
    ("more", "options", "words"),
    [
        ("clip_gradients: 1", {}, "only SGD is imitated"),
        ('type: "Adam" momentum2: 0.9', {}, "only SGD is imitated"),
        ("", {"dtype": torch.float64}, "on the CPU, in float32 and in one process only"),
    ],
)
def test_solvers_that_are_not_imitated(more: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        imitate(make(solver=f"{SOLVER} {more}", **options))
