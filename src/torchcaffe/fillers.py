"""Caffe's fillers: the initial values of parameter blobs, from its random stream, bit for bit.

A blob is filled in memory order (row-major). What each type draws from the stream is said with it;
``constant`` and ``bilinear`` draw nothing.

Caffe: ``include/caffe/filler.hpp``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from torchcaffe.errors import InputError, LayerError
from torchcaffe.proto.schema import FillerParameter
from torchcaffe.proto.suggest import did_you_mean
from torchcaffe.random.boost import bernoulli, uniform
from torchcaffe.random.mersenne import Mersenne
from torchcaffe.random.normal import CURRENT, BoostVersion, gaussian

Floats = NDArray[np.float32]
Shape = tuple[int, ...]

BLOCK = 1 << 18
"""Elements that are summed at a time."""


def fill(
    filler: FillerParameter, shape: Shape, stream: Mersenne, boost: BoostVersion = CURRENT
) -> Floats:
    """The values of a new blob of ``shape``, float32, drawn from ``stream``.

    ``boost`` is the Boost whose normal distribution is drawn. Raises LayerError for what Caffe
    refuses: an unknown type, a parameter out of range, a shape that the type cannot fill.
    """
    if filler.type not in FILLERS:
        hint = did_you_mean(filler.type, FILLERS) or f". Caffe has {', '.join(FILLERS)}."
        _refuse(filler, "type", f'there is no filler "{filler.type}"{hint}')
    if math.prod(shape) == 0:
        _refuse(filler, "type", f"the blob has no elements: its shape is {shape}")
    if filler.sparse != -1 and filler.type != "gaussian":
        _refuse(filler, "sparse", f"only a gaussian filler can be sparse; set to {filler.sparse}")
    try:
        return FILLERS[filler.type](filler, shape, stream, boost)
    except InputError as error:
        _refuse(filler, "type", f'type "{filler.type}": {error}')


def fan(shape: Shape, variance_norm: str = "FAN_IN") -> np.float32:
    """How many inputs or outputs one weight of a blob has, as xavier and msra count them.

    FAN_IN is the number of elements for each of axis 0, FAN_OUT for each of axis 1 (all of them if
    there is one axis), AVERAGE their mean. Only the shape counts: groups do not, and for a
    Deconvolution, which keeps its inputs on axis 0, the two change places.
    """
    count = math.prod(shape)
    fan_in = count // shape[0]
    fan_out = count // shape[1] if len(shape) > 1 else count
    if variance_norm == "AVERAGE":
        return np.float32(fan_in + fan_out) / np.float32(2)
    return np.float32(fan_out if variance_norm == "FAN_OUT" else fan_in)


def _constant(filler: FillerParameter, shape: Shape, _: Mersenne, __: BoostVersion) -> Floats:
    """``value`` everywhere."""
    return np.full(shape, filler.value, np.float32)


def _uniform(filler: FillerParameter, shape: Shape, stream: Mersenne, _: BoostVersion) -> Floats:
    """Uniform from ``min`` to ``max``, both included; one word an element."""
    return uniform(stream, filler.min, filler.max, math.prod(shape)).reshape(shape)


def _gaussian(
    filler: FillerParameter, shape: Shape, stream: Mersenne, boost: BoostVersion
) -> Floats:
    """Normal with ``mean`` and ``std``; with ``sparse``, then thinned by a word an element."""
    if filler.sparse != -1:
        _check_sparse(filler, shape)
    values = gaussian(stream, filler.mean, filler.std, math.prod(shape), boost)
    if filler.sparse != -1:
        chance = np.float32(filler.sparse) / np.float32(shape[0])
        # A negative value that is thinned out becomes -0.
        values *= bernoulli(stream, float(chance), values.size, np.float32)
    return values.reshape(shape)


def _check_sparse(filler: FillerParameter, shape: Shape) -> None:
    if not shape:
        _refuse(filler, "sparse", "a sparse filler needs at least one axis, the blob has none")
    if not 0 <= filler.sparse <= shape[0]:
        _refuse(
            filler,
            "sparse",
            f"sparse is how many of the {shape[0]} outputs an input keeps on average, from 0 to "
            f"{shape[0]} (or -1: all of them), got {filler.sparse}",
        )


def _positive_unitball(
    filler: FillerParameter, shape: Shape, stream: Mersenne, _: BoostVersion
) -> Floats:
    """Uniform from 0 to 1, each slice of axis 0 then divided by its sum; one word an element."""
    _need_axis(filler, shape)
    values = uniform(stream, 0, 1, math.prod(shape)).reshape(shape[0], -1)
    step = max(1, BLOCK // values.shape[1])
    with np.errstate(invalid="ignore"):
        for start in range(0, shape[0], step):
            rows = values[start : start + step]
            # accumulate adds in order, as Caffe's loop does; sum would add in pairs.
            rows /= np.add.accumulate(rows, axis=1)[:, -1:]
    return values.reshape(shape)


def _xavier(filler: FillerParameter, shape: Shape, stream: Mersenne, _: BoostVersion) -> Floats:
    """Uniform within sqrt(3 / fan); one word an element."""
    _need_axis(filler, shape)
    scale = float(np.sqrt(np.float32(3) / fan(shape, filler.variance_norm)))
    return uniform(stream, -scale, scale, math.prod(shape)).reshape(shape)


def _msra(filler: FillerParameter, shape: Shape, stream: Mersenne, boost: BoostVersion) -> Floats:
    """Normal with std sqrt(2 / fan); draws as gaussian."""
    _need_axis(filler, shape)
    std = float(np.sqrt(np.float32(2) / fan(shape, filler.variance_norm)))
    return gaussian(stream, 0, std, math.prod(shape), boost).reshape(shape)


def _bilinear(filler: FillerParameter, shape: Shape, _: Mersenne, __: BoostVersion) -> Floats:
    """The kernel of bilinear upsampling on the last two axes, the same for all of the first two."""
    if len(shape) != 4 or shape[2] != shape[3]:
        _refuse(
            filler,
            "type",
            f"a bilinear filler needs a blob of 4 axes with a square kernel, got {shape}",
        )
    width = shape[3]
    factor = math.ceil(width / 2)
    centre = np.float32((width - 1) / (2 * factor))
    one = np.float32(1)
    profile = one - np.abs(np.arange(width, dtype=np.float32) / np.float32(factor) - centre)
    return np.broadcast_to(np.outer(profile, profile), shape).copy()


def _need_axis(filler: FillerParameter, shape: Shape) -> None:
    if not shape:
        _refuse(
            filler,
            "type",
            f"a {filler.type} filler needs a blob with at least one axis; a blob without any takes "
            f"constant, uniform or gaussian",
        )


def _refuse(filler: FillerParameter, field: str, words: str) -> NoReturn:
    place = filler.where(field)
    raise LayerError(f"filler on line {place.line}: {words}" if place else words)


FILLERS: dict[str, Callable[[FillerParameter, Shape, Mersenne, BoostVersion], Floats]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
