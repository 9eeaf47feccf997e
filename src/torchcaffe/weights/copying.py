"""Copy weights into a net by layer name.

Caffe: ``src/caffe/net.cpp`` (CopyTrainedLayersFrom). Only names, the number of blobs and their
shapes count; types and connections of the source do not.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from math import isqrt

import numpy as np
import torch

from torchcaffe.build import Step
from torchcaffe.errors import WeightsError, WeightsWarning
from torchcaffe.layers._registry import describe, shape_text
from torchcaffe.net import CaffeNet
from torchcaffe.weights.model import Array, SourceLayer, Weights, fits, release

PIECE = 1 << 22
"""Numbers copied at a time: 16 MiB of a mapped file."""


def copy_weights(net: CaffeNet, source: Weights) -> None:
    """Copy what ``source`` has for the net's layers.

    Layers that only the source has are left out, as in Caffe. Warns (WeightsWarning) of layers of
    the net that get nothing though the file has layers for none of them; raises WeightsError if no
    layer matches, or if a layer that matches has other blobs.
    """
    steps: dict[str, Step] = {}
    for step in net.steps:
        if source.last_wins or step.name not in steps:
            steps[step.name] = step
    params = net.params
    given = {layer.name for layer in source.layers if layer.blobs}
    wanted = [name for name in params if steps[name].plan.blobs]
    if wanted and not given.intersection(wanted):
        raise WeightsError(_no_match(source, sorted(given), wanted))
    for layer in source.layers:
        step_or_none = steps.get(layer.name)
        if step_or_none is None:
            continue
        shared = _shared(net, layer.name, params)
        _copy_layer(step_or_none, params.get(layer.name, []), layer, source, shared)
    missing = [
        name
        for name in wanted
        if name not in given and len(_shared(net, name, params)) < len(params[name])
    ]
    if missing:
        unused = sorted(given - set(steps))
        warnings.warn(_partial(source, missing, unused), WeightsWarning, stacklevel=3)


def _shared(net: CaffeNet, name: str, params: Mapping[str, Sequence[torch.Tensor]]) -> set[int]:
    """Which of a layer's blobs are those of an earlier layer."""
    indices = range(len(params.get(name, [])))
    return {index for index in indices if net.owner(name, index) != (name, index)}


def _copy_layer(
    step: Step,
    params: Sequence[torch.Tensor],
    layer: SourceLayer,
    source: Weights,
    shared: set[int],
) -> None:
    if layer.places is not None and len(layer.blobs) < len(params):
        left_out = set(range(len(params))) - set(layer.places)
        if left_out <= shared:
            params = [params[place] for place in layer.places]
    if len(layer.blobs) != len(params):
        raise WeightsError(
            f"{describe(step.param)}: {source.file} has {len(layer.blobs)} blobs for it, the net "
            f"wants {len(params)}. {_hint_count(step, len(layer.blobs), len(params))}"
        )
    for index, (param, blob, legacy) in enumerate(
        zip(params, layer.blobs, layer.legacy, strict=True)
    ):
        if not fits(blob, legacy, tuple(param.shape)):
            raise WeightsError(_mismatch(step, index, blob, tuple(param.shape)))
    for param, blob in zip(params, layer.blobs, strict=True):
        with torch.no_grad():
            _copy_blob(param.detach(), blob)


def _copy_blob(param: torch.Tensor, blob: Array) -> None:
    """Copy piece by piece, giving each piece of a mapped file back before the next."""
    if not param.is_cpu or not param.is_contiguous() or param.dtype != torch.float32:
        param.copy_(torch.from_numpy(np.array(blob).reshape(tuple(param.shape))))
        return
    target, source = param.view(-1).numpy(), blob.reshape(-1)
    for start in range(0, source.size, PIECE):
        piece = source[start : start + PIECE]
        np.copyto(target[start : start + PIECE], piece)
        release(piece)


def _hint_count(step: Step, given: int, wanted: int) -> str:
    if given == 1 and wanted == 2:
        return "Was it trained with bias_term: false?"
    if given == 2 and wanted == 1:
        return "Was it trained with bias_term: true?"
    if step.kind.name == "BatchNorm":
        return "Caffe's own BatchNorm has 3: mean, variance and scale factor; forks have others."
    return "To learn it from scratch, rename the layer."


def _mismatch(step: Step, index: int, blob: Array, shape: tuple[int, ...]) -> str:
    message = (
        f"{describe(step.param)}, blob {index}: the weights are {blob.shape}, the net wants "
        f"{shape}. "
    )
    if step.kind.name == "InnerProduct" and index == 0 and len(step.bottom_shapes[0]) > 2:
        message += _hint_input(step, blob)
    elif sorted(blob.shape) == sorted(shape):
        message += "The same sizes in another order: transpose them. "
    return message + "To learn this layer's weights from scratch, rename the layer."


def _hint_input(step: Step, blob: Array) -> str:
    """Which bottom the weights were trained on, if it had as many channels."""
    channels = step.bottom_shapes[0][1]
    here = shape_text(step.bottom_shapes[0][1:])
    pixels = blob.shape[-1] // max(channels, 1)
    side = isqrt(pixels)
    text = f'Its bottom "{step.bottoms[0]}" is {here} here; '
    if blob.shape[-1] == channels * side * side:
        text += f"{blob.shape[-1]} would be {channels}x{side}x{side}. "
    else:
        text += f"{blob.shape[-1]} values do not divide into {channels} square channels. "
    return text + "Check the input size in the prototxt. "


def _no_match(source: Weights, given: Sequence[str], wanted: Sequence[str]) -> str:
    return (
        f"{source.file} has weights for none of the net's layers. The file's layers are "
        f"{_some(given)}; the net's are {_some(wanted)}. Is it the weights of another net?"
    )


def _partial(source: Weights, missing: Sequence[str], unused: Sequence[str]) -> str:
    text = f"{source.file} has no weights for {_some(missing)}, which keep their filler's values."
    if unused:
        text += f" Not used from the file: {_some(unused)}."
    return text


def _some(names: Sequence[str], most: int = 8) -> str:
    listed = ", ".join(f'"{name}"' for name in names[:most]) or "none"
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")
