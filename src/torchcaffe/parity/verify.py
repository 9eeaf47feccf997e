"""Hold a net against a recording of Caffe, blob by blob in net order.

Two views of every blob: *local*, the layer run alone on the bottoms that Caffe had, held to the
class that the layer declares; and *chained*, the whole net run from the recorded inputs, held to
what the declarations of all layers on the way amount to. The local view says where an error
starts, the chained one what a person gets; both must pass.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import torchcaffe
from torchcaffe.build import Step
from torchcaffe.errors import RecordingError
from torchcaffe.layers._exactness import Exactness, bitwise
from torchcaffe.layers._registry import shape_text
from torchcaffe.net import CaffeNet
from torchcaffe.parity.classes import step_classes
from torchcaffe.parity.compare import Difference, compare
from torchcaffe.parity.lanes import Question, Visit, Way, blobs_of, walk
from torchcaffe.parity.verification import Row, Verification
from torchcaffe.parity.verify_gradients import Backward
from torchcaffe.recording import RecordedParam, Recording

Array = np.ndarray[Any, np.dtype[Any]]


def verify(net: CaffeNet, recording: Recording) -> Verification:
    """Compare every blob, parameter and (where recorded) gradient; the net is left as it was.

    ``net`` is ``torchcaffe.load(prototxt, weights, phase=recording.phase,
    inputs=recording.shapes)``, as freshly loaded. RecordingError if net and recording are not of
    the same layers.
    """
    started = time.perf_counter()
    places = matching_places(net, recording)
    _check_random(net, recording)
    rows = [*_param_rows(net, recording), *_walk(net, recording, places)]
    return Verification(
        net=net.name,
        phase=net.phase,
        rows=tuple(rows),
        notes=tuple(_notes(net, recording)),
        versions=recording.versions | {"recorded": recording.date},
        settings=settings(net, started),
    )


def matching_places(net: CaffeNet, recording: Recording) -> list[int]:
    """For each step of the net its layer in the recording, -1 for inputs."""
    if net.phase != recording.phase:
        raise RecordingError(
            f"{recording.path}: was recorded in phase {recording.phase}, the net is in phase "
            f"{net.phase}; load it with phase={recording.phase!r}"
        )
    missing = set(net.inputs) - set(recording.shapes)
    if missing:
        raise RecordingError(
            f"{recording.path}: holds no values for the net's input {', '.join(sorted(missing))}"
        )
    fed = {step.name for step in net.steps if step.kind.name == "Input"}
    recorded = [place for place, layer in enumerate(recording.layers) if layer.name not in fed]
    ours = [place for place, step in enumerate(net.steps) if step.name not in fed]
    places = [-1] * len(net.steps)
    for there, here in zip(recorded, ours, strict=False):
        theirs, mine = recording.layers[there].name, net.steps[here].name
        if theirs != mine:
            raise _other_net(recording, f'where it has layer "{theirs}", this net has "{mine}"')
        places[here] = there
    if len(recorded) != len(ours):
        raise _other_net(recording, f"it has {len(recorded)} layers, this net has {len(ours)}")
    return places


def _other_net(recording: Recording, how: str) -> RecordingError:
    return RecordingError(
        f"{recording.path}: is of another net: {how}. Give the prototxt that was recorded, "
        f"{recording.path / 'net.prototxt'}"
    )


def _check_random(net: CaffeNet, recording: Recording) -> None:
    drawing = [step.name for step in net.steps if hasattr(step.module, "stream")]
    if drawing and recording.seed is None:
        raise RecordingError(
            f'{recording.path}: was recorded without a seed, and layer "{drawing[0]}" draws random '
            f"numbers; that Caffe is older than caffe.set_random_seed (June 2016), record in phase "
            f"TEST there"
        )


def _walk(net: CaffeNet, recording: Recording, places: list[int]) -> Iterator[Row]:
    """The rows of the forward pass, then those of the backward pass if it was recorded."""
    backward = Backward(net, recording, places) if recording.has_gradients else None
    classes = step_classes(net)

    def ask(place: int, step: Step) -> Question:
        bottoms = [recording.value(places[place] - 1, name) for name in step.bottoms]
        diffs = backward.top_diffs(place, step) if backward else None
        probe = diffs is not None or step.exactness.kind == "accumulated"
        like = next(net.parameters(), torch.zeros(()))
        return Question(
            [torch.from_numpy(value).to(like.device) for value in bottoms], diffs, probe
        )

    changed: dict[str, set[int]] = {}
    for param in recording.params:
        if param.changed:
            changed.setdefault(param.layer, set()).add(param.index)
    below: list[Row] = []
    for visit in walk(net, recording.inputs, recording.seed or 0, ask):
        if not _implicit(visit.step):
            yield from _blob_rows(visit, recording, places[visit.place], classes[visit.place])
            indices = changed.get(visit.step.name, set())
            yield from _statistic_rows(visit, recording, indices, classes[visit.place])
        if backward:
            below = [*backward.rows(visit), *below]
    yield from below


def _implicit(step: Step) -> bool:
    """Whether Caffe put this Split there, as for every blob that is read twice."""
    return step.kind.name == "Split" and step.tops == [
        f"{step.name}_{reader}" for reader in range(len(step.tops))
    ]


def _blob_rows(visit: Visit, recording: Recording, place: int, chained: Exactness) -> Iterator[Row]:
    for position, name in enumerate(visit.step.tops):
        theirs = recording.value(place, name)
        views = _views(visit, f"top/{position}", name, theirs, chained)
        yield _row("blob", visit, name, theirs.shape, views)


def _statistic_rows(
    visit: Visit, recording: Recording, changed: set[int], chained: Exactness
) -> Iterator[Row]:
    """Parameters that the pass changed: ``changed`` in Caffe, or others here."""
    step = visit.step
    for answer, value in visit.chained.own.items():
        if not answer.startswith("statistic/"):
            continue
        index = int(answer.rpartition("/")[2])
        name = f"{step.name}/{index}"
        if index in changed:
            theirs = recording.param(step.name, index, "after")
            views = _views(visit, answer, name, theirs, chained)
            yield _row("statistic", visit, name, theirs.shape, views)
        elif not torch.equal(value, blobs_of(step, visit.module)[index]):
            failed = Difference(name, chained, None, "the pass changes it here, but not in Caffe")
            yield _row("statistic", visit, name, tuple(value.shape), (failed, failed))


def _views(
    visit: Visit, answer: str, name: str, theirs: Array, chained: Exactness
) -> tuple[Difference, Difference]:
    """The local and the chained difference of one answer."""
    pairs = ((visit.local, visit.step.exactness), (visit.chained, chained))
    local, whole = (_difference(way, answer, name, theirs, allowed) for way, allowed in pairs)
    return local, whole


def _difference(way: Way, answer: str, name: str, theirs: Array, allowed: Exactness) -> Difference:
    probed = way.sensitivity(answer) if allowed.kind == "accumulated" else None
    return compare(name, way.own[answer].cpu().numpy(), theirs, allowed, probed)


def _row(
    kind: str,
    visit: Visit,
    name: str,
    shape: tuple[int, ...],
    views: tuple[Difference, Difference],
) -> Row:
    step = visit.step
    return Row(kind, step.name, step.kind.name, name, shape, visit.place, *views)


# Parameters


def _param_rows(net: CaffeNet, recording: Recording) -> Iterator[Row]:
    recorded: dict[str, dict[int, RecordedParam]] = {}
    for param in recording.params:
        recorded.setdefault(param.layer, {})[param.index] = param
    params = net.params
    for place, step in enumerate(net.steps):
        blobs, there = params.get(step.name, []), recorded.get(step.name, {})
        for index in sorted({*range(len(blobs)), *there}):
            ours = blobs[index].detach().cpu().numpy() if index < len(blobs) else None
            theirs = there.get(index)
            found = _param_difference(f"{step.name}/{index}", ours, theirs, recording)
            shape = ours.shape if ours is not None else theirs.shape if theirs else ()
            yield Row("parameter", step.name, step.kind.name, found.name, shape, place, None, found)


def _param_difference(
    name: str, ours: Array | None, theirs: RecordedParam | None, recording: Recording
) -> Difference:
    if ours is None or theirs is None:
        where = "the recording" if theirs is None else "this net"
        return Difference(name, bitwise(), None, f"{where} has no such blob")
    if theirs.stored:
        return compare(name, ours, recording.param(*theirs.key), bitwise())
    if ours.shape != theirs.shape:
        reason = f"shape is {shape_text(ours.shape)}, theirs is {shape_text(theirs.shape)}"
        return Difference(name, bitwise(), None, reason)
    if hashlib.sha256(np.ascontiguousarray(ours, "<f4").tobytes()).hexdigest() != theirs.sha256:
        return Difference(name, bitwise(), None, "the checksums differ")
    return Difference(name, bitwise(), bitwise(), "equal checksums")


def use_recorded_params(net: CaffeNet, recording: Recording) -> None:
    """Put the recorded parameters into ``net``, for a recording without a weights file.

    RecordingError if they were left out (``--no-weights``) or do not fit.
    """
    params = net.params
    for param in recording.params:
        blobs = params.get(param.layer, [])
        if param.index >= len(blobs) or tuple(blobs[param.index].shape) != param.shape:
            fits = [shape_text(tuple(blob.shape)) for blob in blobs]
            raise _other_net(
                recording,
                f'layer "{param.layer}", blob {param.index} is {shape_text(param.shape)} there, '
                f"this net has {', '.join(fits) or 'none'}",
            )
        with torch.no_grad():
            blobs[param.index].copy_(torch.from_numpy(recording.param(*param.key)))


# What stands beside the rows


def _notes(net: CaffeNet, recording: Recording) -> Iterator[str]:
    splits = sum(_implicit(step) for step in net.steps)
    if splits:
        yield (
            f"Caffe put in {splits} Split layer{'s' * (splits > 1)} for blobs that several layers "
            f"read: those hand them on as they are, and have no rows of their own."
        )
    if any(not param.stored for param in recording.params):
        yield "Parameters were recorded as checksums: they are compared bit for bit or not at all."
    if recording.training is not None:
        count = len(recording.training.get("iterations", []))
        yield f"A training run of {count} iterations was recorded too; it is not replayed here."
    if recording.has_gradients and any(layer.bottoms is None for layer in recording.layers):
        yield (
            "That pycaffe does not tell what a layer's bottoms are: gradients are compared for the "
            "whole net, not layer by layer, and between in-place layers not at all."
        )
    if not recording.has_gradients and recording.phase == "TRAIN":
        yield "No gradients were recorded (--backward), so none are compared."


def settings(net: torch.nn.Module, started: float) -> dict[str, str]:
    """Our side: versions, device, and the time since ``started``."""
    like = next(net.parameters(), torch.zeros(()))
    return {
        "torchcaffe": torchcaffe.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": f"{like.device}, {str(like.dtype).removeprefix('torch.')}",
        "threads": str(torch.get_num_threads()),
        "seconds": f"{time.perf_counter() - started:.1f}",
    }
