"""The front door: a port and a net, to what differs and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchcaffe.diagnosis.alignment import align
from torchcaffe.diagnosis.anchors import CAFFE_KINDS
from torchcaffe.diagnosis.engine import Answer, Examination, answer, examine
from torchcaffe.diagnosis.findings import Cause, Diagnosis, Matched
from torchcaffe.diagnosis.port import borrowed, changed_state, module_of, run_port, told
from torchcaffe.diagnosis.reference import Reference, Values
from torchcaffe.diagnosis.samples import samples
from torchcaffe.diagnosis.tape import Tape
from torchcaffe.errors import CaffeError, InputError, RecordingError
from torchcaffe.load import load
from torchcaffe.net import CaffeNet
from torchcaffe.parity.verify import settings, use_recorded_params, verify
from torchcaffe.recording import Recording

BATCH = 2


def diagnose(
    port: Any,
    net: str | PathLike[str] | CaffeNet | None = None,
    *,
    weights: str | PathLike[str] | None = None,
    recording: Recording | None = None,
    inputs: Mapping[str, Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    solver: str | PathLike[str] | None = None,
    iterations: int | None = None,
    allow_python: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Compare a port with the Caffe net that it was made from, and say where and why they differ.

    port
        an ``nn.Module``, as the person runs it (in the mode that it is in); it is left as it was
    net, weights
        a prototxt and its weights, or a net in phase TEST that ``torchcaffe.load`` gave
    recording
        what a real Caffe did: its net (where ``net`` is not given), weights and inputs, and first
        of all its blobs, which the net's are held against
    inputs, shapes
        values by the net's input names, in addition to those that are generated; or their shapes
    solver, iterations
        a solver prototxt, to compare the training as well: ``port`` is then what gives it, or a
        callable that returns that (``torchcaffe.diagnosis.training.TrainingPort``); the net is the
        solver's unless it is given; so many iterations are run side by side, 6 or 3 if not given
    allow_python
        as for ``torchcaffe.load``
    say
        is told the layer that is being looked at
    """
    if solver is not None:
        if recording is not None or inputs or isinstance(net, CaffeNet):
            raise InputError("with a solver, give the net by its prototxt, and no recording")
        from torchcaffe.diagnosis.training.front import diagnose_both  # which diagnoses by this

        return diagnose_both(
            port,
            solver,
            net=net,
            weights=weights,
            shapes=shapes,
            iterations=iterations,
            say=say,
        )
    started = time.perf_counter()
    module = module_of(port)
    given_shapes = {name: tuple(np.shape(value)) for name, value in (inputs or {}).items()}
    sizes = {**given_shapes, **{name: tuple(shape) for name, shape in (shapes or {}).items()}}
    if recording is not None:
        caffe = _recorded(net, weights, recording, allow_python)
        inputs = recording.inputs
    elif net is None:
        raise InputError("give the net that the port was made from, or a recording of it")
    else:
        caffe = net if isinstance(net, CaffeNet) else _load(net, weights, sizes, allow_python)
    if caffe.phase != "TEST":
        raise InputError('a port is compared in phase TEST; load the net with phase="TEST"')
    reference = Reference(caffe)
    given = _inputs(reference, inputs or {})
    with torch.no_grad(), borrowed(module) as twin:
        values: list[Values] = [reference.run(each) for each in given]
        before = {name: value.clone() for name, value in twin.state_dict().items()}
        tape, names = run_port(twin, given[0])
        notes = []
        changed = changed_state(before, twin.state_dict())
        if changed:
            notes.append(
                f"The port changes its own weights when it runs ({', '.join(changed[:5])}): it was "
                f"compared as it was at its first run."
            )
        found = _compare(tape, names, reference, values, say)
    return _diagnosis(found, caffe, type(module).__name__, tape, notes, settings(caffe, started))


def _load(
    net: str | PathLike[str],
    weights: str | PathLike[str] | None,
    shapes: Mapping[str, Sequence[int]],
    allow_python: bool,
) -> CaffeNet:
    """The net for a batch of two, unless it or the caller fixes the batch."""
    first = load(net, weights, inputs=shapes, allow_python=allow_python)
    wanted = {
        name: (BATCH, *shape[1:])
        for name, shape in first.inputs.items()
        if len(shape) > 1 and name not in shapes
    }
    if all(first.inputs[name] == shape for name, shape in wanted.items()):
        return first
    try:
        return load(net, weights, inputs={**shapes, **wanted}, allow_python=allow_python)
    except CaffeError:  # a net that fixes its batch, by a Reshape or in code of its own
        return first


def _recorded(
    net: str | PathLike[str] | CaffeNet | None,
    weights: str | PathLike[str] | None,
    recording: Recording,
    allow_python: bool,
) -> CaffeNet:
    """The recorded net with the recorded weights; RecordingError if it gives other blobs."""
    if isinstance(net, CaffeNet):
        caffe = net
    else:
        source = Path(net) if net is not None else recording.path / "net.prototxt"
        caffe = load(source, weights, inputs=recording.shapes, allow_python=allow_python)
        if weights is None:
            use_recorded_params(caffe, recording)
    found = verify(caffe, recording)
    if not found.passed:
        raise RecordingError(f"{recording.path}: the net is not the recorded one: {found.verdict}")
    return caffe


def _inputs(reference: Reference, inputs: Mapping[str, Any]) -> list[dict[str, Tensor]]:
    shapes = {name: reference.net.inputs[name] for name in _used(reference)}
    unknown = set(inputs) - set(shapes)
    if unknown:
        raise InputError(
            f"the net's inputs are {', '.join(shapes) or 'none'}; got {', '.join(sorted(unknown))}"
        )
    made = list(samples(shapes, reference.net.index_inputs).values())
    own = {name: torch.as_tensor(np.asarray(value)).float() for name, value in inputs.items()}
    return [{**each, **own} for each in made[:1]] + (made if own else made[1:])


def _used(reference: Reference) -> list[str]:
    """The inputs that what is compared depends on."""
    needed = {value for output in reference.outputs.values() for value in reference.above[output]}
    return [name for name, value in reference.inputs.items() if value in needed]


def _compare(
    tape: Tape,
    names: Mapping[int, str],
    reference: Reference,
    values: Sequence[Values],
    say: Callable[[str], None],
) -> tuple[Examination, list[Answer]]:
    binding = {place: reference.inputs[name] for place, name in names.items()}
    if tape.error is not None:
        read, fed = {value for op in tape.ops for value in op.inputs}, tape.fed()
        made = [value for op in tape.ops for value in op.outputs if fed[value]]
        tape.outputs = [("", value) for value in made if value not in read]
    alignment = align(tape, reference, values[0], binding)
    found = examine(alignment, values, say)
    answers: list[Answer] = []
    if another_net(found):
        return found, answers
    for part in [part for part in found.segments if part.state == "differs"]:
        say(part.layers[-1])
        answers += answer(found, part)
    return found, answers


def _diagnosis(
    compared: tuple[Examination, list[Answer]],
    net: CaffeNet,
    port: str,
    tape: Tape,
    notes: list[str],
    versions: Mapping[str, str],
) -> Diagnosis:
    found, answers = compared
    order = {part.name: n for n, part in enumerate(found.alignment.reference.parts)}
    causes = [cause for each in answers for cause in each.causes]
    causes.sort(key=lambda cause: min((order.get(name, 0) for name in cause.layers), default=0))
    unexplained = [each.unexplained for each in answers if each.unexplained is not None]
    matched, left = _matched(found)
    error = ""
    if tape.error is not None:
        error = _failed(tape, found)
    elif len(left) == len(order):
        error = (
            "Nothing of the port could be aligned with the net: what it returns is none of the "
            "net's outputs, in number and shape."
        )
    notes += _odd_ends(found, left)
    if another_net(found):
        there = [name for row in matched if row.state == "same" for name in row.layers]
        error = error or (
            f"Almost nothing aligns: {len(there)} of {len(order)} layers "
            f"({', '.join(there[:5]) or 'none'}). Is this the prototxt of another net?"
        )
    return Diagnosis(
        net=net.name,
        port=port,
        causes=tuple(merged(causes)),
        unexplained=tuple(unexplained),
        alignment=tuple(matched),
        notes=tuple(notes),
        settings=versions,
        covered=_covered(found, len(left)),
        error=error,
    )


ALIGNED = 0.3
"""Where fewer of the layers with weights than this have theirs in the port, the net is another."""


def another_net(found: Examination) -> bool:
    """Whether the port can hardly be of this net: neither values nor weights nor shapes agree."""
    anchors = found.alignment.anchors
    reference = found.alignment.reference
    weighty = [part for part in reference.parts if part.kind in CAFFE_KINDS and part.blobs]
    if len(weighty) < 3 or found.alignment.tape.error is not None:
        return False
    same = sum(len(part.parts) for part in found.segments if part.state == "same")
    close = [anchor for anchor in anchors if anchor.relation.name not in ("numel", "other size")]
    return len(close) < ALIGNED * len(weighty) and same < ALIGNED * len(reference.parts)


def _odd_ends(found: Examination, left: Sequence[str]) -> list[str]:
    """Notes on layers and outputs that have no partner."""
    reference, tape = found.alignment.reference, found.alignment.tape
    notes = []
    ends = {value for _, value in tape.outputs}
    if tape.error is None:
        alone = [
            path or str(place)
            for place, (path, value) in enumerate(tape.outputs)
            if not found.alignment.at_port(value)
        ]
        if alone:
            notes.append(
                f"The port returns {len(tape.outputs)} tensors, the net has "
                f"{len(reference.outputs)} outputs; nothing of Caffe's stands for the port's "
                f"{', '.join(alone)}."
            )
    last = [reference.makers[value] for value in reference.outputs.values()]
    scores = [
        part.name
        for part in last
        if part.kind == "Softmax" and part.name in left
        if any(pair.port in ends for pair in found.alignment.at_caffe(part.bottoms[0]))
    ]
    if scores:
        notes.append(
            f"The port ends before {', '.join(scores)}: it gives scores, Caffe probabilities. "
            f"That is no mistake if you take the softmax elsewhere."
        )
    rest = [name for name in left if name not in scores]
    if rest:
        notes.append(f"Not aligned with anything of the port: {', '.join(rest)}.")
    return notes


def merged(causes: Sequence[Cause]) -> list[Cause]:
    """Causes, one for all layers in which the same line makes the same mistake.

    The numbers are those of the first layer. Layers with each other's weights are one mistake too.
    """
    groups: dict[tuple[object, ...], list[Cause]] = {}
    for cause in causes:
        key: tuple[object, ...] = (cause.port.file, cause.port.line)
        if cause.identifier == "weight-swapped":
            key = tuple(sorted([*cause.layers, str(cause.evidence["has"])]))
        groups.setdefault((cause.identifier, *key), []).append(cause)
    return [
        replace(group[0], layers=tuple(dict.fromkeys(n for each in group for n in each.layers)))
        for group in groups.values()
    ]


def _matched(found: Examination) -> tuple[list[Matched], list[str]]:
    """The segments in Caffe's order, and the layers that are in none."""
    reference = found.alignment.reference
    order = {part.name: n for n, part in enumerate(reference.parts)}
    rows, seen = [], set()
    for part in found.segments:
        seen |= {each.name for each in part.parts}
        shape = tuple(found.samples[0][part.pair.caffe].shape)
        rows.append(Matched(part.layers, part.places(), part.state, shape, part.gap))
    rows.sort(key=lambda row: max(order.get(name, -1) for name in row.layers))
    left = [part.name for part in reference.parts if part.name not in seen]
    return rows, left


def _covered(found: Examination, left: int) -> str:
    parts = len(found.alignment.reference.parts)
    return (
        f"{parts - left} of {parts} layers were compared in {len(found.segments)} places, each run "
        f"alone on Caffe's own input, on {len(found.samples)} kinds of input, at the layers' "
        f"declared classes."
    )


def _failed(tape: Tape, found: Examination) -> str:
    assert tape.error is not None
    last = found.segments[-1].layers[-1] if found.segments else None
    where = f'behind what stands for layer "{last}"' if last else "before its first layer"
    return f"The port raises, {where}:\n{told(tape.error)}"
