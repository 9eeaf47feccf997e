"""Hold a net against a summary of what Caffe computed: small enough to keep for a large net.

A summary is an ``.npz`` file with arrays ``<input>/<blob>/stats`` (mean and standard deviation,
float64) and ``<input>/<blob>/ends`` (the first and last eight elements, float32), and for some
blobs ``<input>/<blob>`` itself. Of an in-place chain it holds the last value.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import torchcaffe
from torchcaffe.errors import RecordingError
from torchcaffe.layers._exactness import accumulated
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parity.classes import after, declared_classes
from torchcaffe.parity.compare import compare
from torchcaffe.parity.probe import sensitivities
from torchcaffe.parity.verification import Row, Verification

Array = np.ndarray[Any, np.dtype[Any]]
PARTS = ("mean", "standard deviation", "first and last elements", "all elements")


def verify_summary(
    net: CaffeNet, path: str | PathLike[str], name: str, inputs: Mapping[str, Array]
) -> Verification:
    """Compare a net with the summary called ``name``, which was made for ``inputs``.

    Every part of every blob is held to the blob's declared class. RecordingError if the file has
    no summary of that name, or one of blobs that the net does not have.
    """
    started = time.perf_counter()
    theirs = _read(Path(path), name)
    missing = sorted({blob for blob, _ in theirs} - set(declared_classes(net).blobs))
    if missing:
        raise RecordingError(
            f"{path}: has blobs that the net does not: {', '.join(missing[:8])}; is it the summary "
            f"of another net?"
        )
    wanted = list(theirs)

    def measure(_: CaffeNet, run: Run, __: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"|".join(key): _part(run.blobs[key[0]], key[1]) for key in wanted}

    probed = sensitivities(net, inputs, measure)
    with torch.no_grad():
        run = net.run({key: torch.from_numpy(value) for key, value in inputs.items()})
    classes = declared_classes(net).blobs
    makers = {top: (place, step) for place, step in enumerate(net.steps) for top in step.tops}
    rows = []
    for blob, part in wanted:
        place, step = makers[blob]
        ours = _part(run.blobs[blob], part).numpy()
        key = f"{blob}|{part}"
        expected = theirs[blob, part]
        # The statistics are sums themselves.
        allowed = after(classes[blob], accumulated()) if part in PARTS[:2] else classes[blob]
        found = compare(key, ours, expected, allowed, probed[key])
        rows.append(
            Row(
                "blob", step.name, step.kind.name, f"{blob}: {part}", ours.shape, place, None, found
            )
        )
    return Verification(
        net=net.name,
        phase=net.phase,
        rows=tuple(rows),
        notes=(f"compared with the summary {name!r} in {path}: not every element",),
        versions={},
        settings={
            "torchcaffe": torchcaffe.__version__,
            "torch": torch.__version__,
            "seconds": f"{time.perf_counter() - started:.1f}",
        },
    )


def _read(path: Path, name: str) -> dict[tuple[str, str], Array]:
    """The summary's arrays by blob and part, in the file's order."""
    result: dict[tuple[str, str], Array] = {}
    with np.load(path, allow_pickle=False) as stored:
        for key in stored.files:
            first, _, rest = key.partition("/")
            if first != name:
                continue
            blob, _, part = rest.rpartition("/")
            if blob and part == "stats":
                result[blob, PARTS[0]], result[blob, PARTS[1]] = stored[key]
            elif blob and part == "ends":
                result[blob, PARTS[2]] = stored[key]
            else:
                result[rest, PARTS[3]] = stored[key]
    if not result:
        raise RecordingError(f'{path}: has no summary called "{name}"')
    return {key: np.asarray(value) for key, value in result.items()}


def _part(blob: Tensor, part: str) -> Tensor:
    flat = blob.flatten()
    if part == PARTS[0]:
        return flat.double().mean()
    if part == PARTS[1]:
        return flat.double().std(correction=0)
    if part == PARTS[2]:
        return torch.cat((flat[:8], flat[-8:]))
    return blob
