"""A port that gives its training, compared in both: what it computes, and how it learns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from torch import nn

from torchcaffe.diagnosis.diagnose import diagnose
from torchcaffe.diagnosis.findings import Diagnosis
from torchcaffe.diagnosis.parameters import align_parameters
from torchcaffe.diagnosis.port import told
from torchcaffe.diagnosis.training.diagnose import TrainingDiagnosis, diagnose_training
from torchcaffe.diagnosis.training.prepare import missing_shapes, reference_for
from torchcaffe.diagnosis.training.protocol import TrainingPort, training_port
from torchcaffe.diagnosis.training.reference import Reference
from torchcaffe.errors import CaffeError, InputError, NetWarning
from torchcaffe.net import CaffeNet
from torchcaffe.proto import read_net, read_solver
from torchcaffe.proto.schema import (
    BlobShape,
    InputParameter,
    LayerParameter,
    NetParameter,
    SolverParameter,
)
from torchcaffe.solvers.nets import train_net
from torchcaffe.weights import copy_weights, read_weights

PathName = str | PathLike[str]


def diagnose_both(
    port: Any,
    solver: PathName,
    *,
    net: PathName | None = None,
    weights: PathName | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    iterations: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Compare a port's forward pass and its training with a net and its solver.

    port
        what gives a training, or a callable that returns it, which is then built several times for
        the law of its initial weights; see ``TrainingPort``
    solver, net, weights
        the files; the net is the solver's unless it is given. Without weights the port's own are
        put into the net, so that only what is done with them is compared
    shapes
        of inputs by name, in place of the prototxt's or of data layers' tops
    iterations
        how many are run side by side; 6, or 3 of nets that take long, unless it is given
    """
    build = port if callable(port) and not isinstance(port, nn.Module) else None
    given = training_port(_built(build) if build is not None else port)
    recipe = read_solver(Path(solver))
    param = read_net(Path(net)) if net is not None else _solvers_net(recipe, Path(fspath(solver)))
    if shapes is None:
        shapes = missing_shapes(param, given.model)
    alignment, loaded = None, []
    if weights is not None:
        full = CaffeNet(param, "TRAIN", inputs=shapes)
        files = read_weights(weights)
        copy_weights(full, files)
        alignment = align_parameters(given.model, full)
        loaded = [layer.name for layer in files.layers if layer.blobs]
    reference = reference_for(given, recipe, param, shapes, alignment)
    training = diagnose_training(
        given, reference, build=build, loaded=loaded, iterations=iterations, tell=say
    )
    return _joined(_forward(given, reference, param, weights, say), training, reference)


def _built(build: Callable[[], Any]) -> Any:
    """What the port's callable returns; InputError with the place in its code if it raises."""
    try:
        return build()
    except CaffeError:
        raise
    except Exception as error:
        raise InputError(f"the port raises while it is built:\n{told(error)}") from error


def _solvers_net(solver: SolverParameter, path: Path) -> NetParameter:
    """The train net that the solver names: from the current folder, as in Caffe, or from its own"""
    for field in ("train_net", "net"):
        name = getattr(solver, field)
        if name and not Path(name).exists() and (path.parent / name).exists():
            return read_net(path.parent / name)
    return train_net(solver).param


def _forward(
    port: TrainingPort,
    reference: Reference,
    param: NetParameter,
    weights: PathName | None,
    say: Callable[[str], None],
) -> Diagnosis | str:
    """The forward passes in evaluation; words if they cannot be compared."""
    shapes = {
        name: (2, *shape[1:])
        for name, shape in reference.shapes.items()
        if name not in reference.targets
    }
    try:
        net = CaffeNet(_before_losses(param, reference), "TEST", inputs=shapes)
        if weights is not None:
            copy_weights(net, read_weights(weights))
        else:
            reference.carry(port.model, net)
        twin = copy.deepcopy(port.model).eval()
        return diagnose(twin, net, say=say)
    except (CaffeError, NetWarning) as error:
        return f"The forward pass was not compared by itself: {error}"


def _before_losses(param: NetParameter, reference: Reference) -> NetParameter:
    """The net without what depends on labels and targets: what a model computes."""
    tainted = set(reference.targets)
    found: NetParameter = param.copy()
    names = [name for name in reference.shapes if name not in tainted]
    kept = [
        LayerParameter(
            name="inputs",
            type="Input",
            top=names,
            input_param=InputParameter(
                shape=[BlobShape(dim=list(reference.shapes[name])) for name in names]
            ),
        )
    ]
    for layer in found.layer:
        if not layer.bottom and set(layer.top) & set(reference.shapes):
            continue  # it gives inputs
        if tainted.isdisjoint(layer.bottom):
            kept.append(layer)
        else:
            tainted.update(set(layer.top) - set(layer.bottom))
    found.layer = kept
    return found


def _joined(
    forward: Diagnosis | str, training: TrainingDiagnosis, reference: Reference
) -> Diagnosis:
    covered = f"In training: {', '.join(training.compared)}."
    notes = tuple(training.notes)
    if isinstance(forward, str):
        return Diagnosis(
            net=reference.param.name,
            port="the port",
            causes=tuple(sorted(training.causes, key=lambda cause: cause.harmless)),
            unexplained=tuple(training.unexplained),
            notes=(forward, *notes),
            covered=covered,
        )
    unexplained, differs = training.unexplained, not forward.passed
    if differs and training.gradients_differ:
        notes += ("Its gradients differ as well, as they must where the forward pass does.",)
        unexplained = [part for part in unexplained if part is not training.gradients_differ]
    known = {(cause.identifier, cause.layers) for cause in forward.causes}
    more = [c for c in training.causes if c.harmless or (c.identifier, c.layers) not in known]
    return replace(
        forward,
        causes=(*forward.causes, *sorted(more, key=lambda cause: cause.harmless)),
        unexplained=(*forward.unexplained, *unexplained),
        notes=(*forward.notes, *notes),
        covered=f"{forward.covered} {covered}",
    )
