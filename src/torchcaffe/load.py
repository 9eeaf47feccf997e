"""The front door: files to a net that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from torchcaffe import proto
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter
from torchcaffe.weights import copy_weights, read_weights


def load(
    net: str | PathLike[str] | NetParameter,
    weights: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
    *,
    phase: str | None = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    inputs: Mapping[str, Sequence[int]] | None = None,
    seed: int | None = None,
    rng: str = "caffe",
    allow_python: bool = False,
) -> CaffeNet:
    """Build the net of a prototxt and put weights into it.

    net
        a prototxt, or a message that was read from one. Older forms are upgraded as in Caffe.
    weights
        a ``.caffemodel``, ``.caffemodel.h5``, ``.npz`` or ``.npy``, or several; copied by layer
        name in the order given.
    phase, level, stages
        Caffe's state, which the include and exclude rules look at; ``phase=None`` takes the file's.
    inputs
        shapes by name, in place of the prototxt's, or in place of a data layer's tops.
    seed
        fill what weights do not, as Caffe does after ``set_random_seed(seed)``: bit for bit.
    rng
        "caffe" draws dropout masks from Caffe's stream, "torch" from torch's generator.
    allow_python
        let layers of type Python import and run the modules that the prototxt names. That is
        executing code of the net's author.

    Raises ParseError, NetError (with LayerError), WeightsError or InputError, all CaffeError.
    """
    param = net if isinstance(net, NetParameter) else proto.read_net(Path(net))
    if weights is None:
        paths: list[str | PathLike[str]] = []
    elif isinstance(weights, (str, PathLike)):
        paths = [weights]
    else:
        paths = list(weights)
    sources = [read_weights(path) for path in paths]
    unfilled = [layer.name for source in sources for layer in source.layers if layer.blobs]
    result = CaffeNet(
        param,
        phase,
        level=level,
        stages=stages,
        inputs=inputs,
        seed=seed,
        rng=rng,
        unfilled=unfilled,
        allow_python=allow_python,
    )
    for source in sources:
        copy_weights(result, source)
    return result
