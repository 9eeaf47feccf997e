"""Older nets and solvers to the form of Caffe 1.0, in Caffe's own five steps.

Caffe does this to every net that it reads from a file, text or binary, each step only if the net
needs it: V0 layers to V1, the data layers' transform fields, V1 layers to today's, the input
fields to an Input layer, and BatchNorm's three parameters. What the new messages hold keeps the
place in the file it came from.
"""

from __future__ import annotations

from pathlib import Path

from torchcaffe.errors import NetError
from torchcaffe.proto.schema import (
    BlobShape,
    InputParameter,
    LayerParameter,
    NetParameter,
    ParamSpec,
    SolverParameter,
    V1LayerParameter,
)
from torchcaffe.proto.upgrade_tools import Upgrade, keep_place, move
from torchcaffe.proto.upgrade_v0 import upgrade_v0
from torchcaffe.proto.upgrade_v1 import upgrade_v1

__all__ = ["upgrade_net", "upgrade_solver"]

_DATA_PARAMS = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
_SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def upgrade_net(
    net: NetParameter, file: str = "<net>", problems: list[str] | None = None
) -> NetParameter:
    """``net`` in the form of Caffe 1.0; ``net`` itself stays as it is.

    What Caffe logs as an error and then ignores (a V0 field that its layer's type cannot have) is
    logged and added to ``problems``. Raises NetError where Caffe gives up.
    """
    upgrade = Upgrade(file, [] if problems is None else problems)
    net = net.copy()
    if any(layer.has("layer") for layer in net.layers):
        net = upgrade_v0(net, upgrade)
    for layer in net.layers:
        _move_transform(layer)
    if net.layers:
        net = upgrade_v1(net, upgrade)
    if net.input:
        _inputs_to_layer(net, upgrade)
    for current in net.layer:
        _freeze_statistics(current)
    return net


def _move_transform(layer: V1LayerParameter) -> None:
    """Move the transform fields of a V1 data layer to its ``transform_param``."""
    name = _DATA_PARAMS.get(layer.type) if layer.has("type") else None
    if name is None or not layer.has(name):
        return
    data_param = getattr(layer, name)
    for field in _TRANSFORM_FIELDS:
        if data_param.has(field):
            move(data_param, field, layer.ensure("transform_param"), field)
            data_param.clear(field)


def _inputs_to_layer(net: NetParameter, upgrade: Upgrade) -> None:
    """Turn the net's input fields into an Input layer in front of the others."""
    if net.input_shape or net.input_dim:
        where = net.where("input")
        shapes = [_input_shape(net, i, upgrade) for i in range(len(net.input))]
        parameter = InputParameter(shape=shapes)
        parameter.location = net.where("input_shape" if net.input_shape else "input_dim")
        layer = LayerParameter(name="input", type="Input", top=net.input, input_param=parameter)
        layer.location = where
        net.layer.insert(0, layer)
    for field in ("input", "input_shape", "input_dim"):
        net.clear(field)


def _input_shape(net: NetParameter, index: int, upgrade: Upgrade) -> BlobShape:
    name = net.input[index]
    if net.input_shape:
        if index >= len(net.input_shape):
            raise upgrade.error(
                net.where("input"),
                f'input "{name}" has no input_shape: there are {len(net.input)} input fields '
                f"and {len(net.input_shape)} input_shape; give one for each",
            )
        return net.input_shape[index]
    dims = net.input_dim[4 * index : 4 * index + 4]
    if len(dims) < 4:
        raise upgrade.error(
            net.where("input_dim"),
            f'input "{name}" has {len(dims)} of its 4 input_dim: there are {len(net.input)} '
            f"input fields and {len(net.input_dim)} input_dim; give four for each, or input_shape",
        )
    shape = BlobShape(dim=dims)
    shape.location = net.where("input_dim")
    return shape


def _freeze_statistics(layer: LayerParameter) -> None:
    """Keep the solver away from BatchNorm's three blobs, which are statistics."""
    if layer.type == "BatchNorm" and len(layer.param) == 3:
        for spec in layer.param:
            _freeze(spec)


def _freeze(spec: ParamSpec) -> None:
    spec.lr_mult = 0.0
    spec.decay_mult = 0.0


def upgrade_solver(solver: SolverParameter, file: str | None = None) -> SolverParameter:
    """``solver`` in the form of Caffe 1.0; ``solver`` itself stays as it is.

    ``file`` is the path it was read from, which gives ``snapshot_prefix`` its default; None for
    a solver that was not read from a file. Raises NetError if it has a type twice.
    """
    result: SolverParameter = solver.copy()
    if result.has("solver_type"):
        if result.has("type"):
            where = result.where("solver_type") or file or "<solver>"
            raise NetError(
                f"{where}: the solver has a type ({result.type!r}) and also the older "
                f"solver_type ({result.solver_type}); remove solver_type."
            )
        result.type = _SOLVER_TYPES[result.solver_type]
        keep_place(result, "solver_type", result, "type")
        result.clear("solver_type")
    if file is not None:
        _complete_prefix(result, Path(file))
    return result


def _complete_prefix(solver: SolverParameter, file: Path) -> None:
    if not solver.has("snapshot_prefix"):
        solver.snapshot_prefix = str(file.with_suffix(""))
    elif Path(solver.snapshot_prefix).is_dir():
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / file.stem)
