"""Caffe's side made ready: the reference of a solver, its blobs paired with a port's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from torchcaffe.diagnosis.parameters import ParameterAlignment
from torchcaffe.diagnosis.training.parameters import as_shaped, pair_all
from torchcaffe.diagnosis.training.protocol import TrainingPort
from torchcaffe.diagnosis.training.reference import Reference
from torchcaffe.diagnosis.training.run_port import Runner
from torchcaffe.errors import InputError
from torchcaffe.graph import filter_layers, merged_state
from torchcaffe.proto.schema import NetParameter, SolverParameter
from torchcaffe.solvers.nets import train_net


def reference_for(
    port: TrainingPort,
    solver: SolverParameter,
    net: NetParameter | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    alignment: ParameterAlignment | None = None,
) -> Reference:
    """Caffe's side, its blobs paired with the port's parameters.

    solver, net
        the solver, and its train net if it is not the one that the solver names.
    inputs
        shapes of inputs, in place of the prototxt's or of data layers' tops.
    alignment
        which parameter is which blob, as far as values say; the rest is paired by order and shape.

    Raises InputError if nothing fits, and CaffeError for the files.
    """
    reference = Reference(solver, net if net is not None else train_net(solver).param, inputs)
    called = Runner(port, reference).called()
    reference.pairs, reference.statistics = pair_all(reference.net, port.model, called, alignment)
    if alignment is not None:
        _settle(port, reference)
    if not reference.pairs:
        raise InputError("none of the port's parameters could be matched with a blob of the net")
    return reference


def _settle(port: TrainingPort, reference: Reference) -> None:
    """Take parameters as their shapes say, unless only the order of their values gives the net."""
    by_values = reference.pairs
    reference.pairs = as_shaped(by_values, reference.net, port.model)
    runner = Runner(port, reference)
    try:
        if not runner.same_output():
            by_shape, reference.pairs = reference.pairs, by_values
            if not runner.same_output():
                reference.pairs = by_shape
    except Exception:  # said later, where the pass is needed
        return


def missing_shapes(net: NetParameter, model: nn.Module) -> dict[str, tuple[int, ...]] | None:
    """The tops of data layers whose source is not here: the batch, the crop and the port say them.

    None where all sources are here, and where the shapes cannot be known.
    """
    channels = next((p.shape[1] for p in model.parameters() if p.dim() == 4), None)
    found: dict[str, tuple[int, ...]] = {}
    for layer in filter_layers(net, merged_state(net, "TRAIN")):
        p: Any = {"Data": layer.data_param, "ImageData": layer.image_data_param}.get(layer.type)
        if p is None or Path(p.source).exists():
            continue
        crop = layer.transform_param.crop_size
        size = (crop, crop) if crop else (0, 0)
        if layer.type == "ImageData" and not crop:
            size = (p.new_height, p.new_width)
        if channels is None or not all(size) or not p.batch_size:
            return None
        shapes = [(p.batch_size, channels, *size), (p.batch_size,)]
        found |= zip(layer.top, shapes, strict=False)
    return found or None
