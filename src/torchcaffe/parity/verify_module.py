"""Hold a plain module, such as the one that convert wrote, against a recording: outputs only."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn

from torchcaffe import proto
from torchcaffe.errors import RecordingError
from torchcaffe.net import CaffeNet
from torchcaffe.parity.classes import declared_classes
from torchcaffe.parity.compare import Sensitivity, compare
from torchcaffe.parity.probe import sensitivities
from torchcaffe.parity.verification import Row, Verification
from torchcaffe.parity.verify import settings, use_recorded_params
from torchcaffe.proto.schema import NetParameter
from torchcaffe.recording import Recording


def verify_module(module: nn.Module, recording: Recording) -> Verification:
    """Compare the outputs of a module that ``torchcaffe convert`` wrote.

    It is called with the recorded inputs in their order, and gives a tensor, or a dict by blob
    name. The recorded net's own declarations say what the outputs are held to; with recorded
    parameters, how far rounding can move them too. RecordingError if the outputs are others.
    """
    started = time.perf_counter()
    net = _recorded_net(recording)
    with torch.no_grad():
        answer = module(*[torch.from_numpy(recording.inputs[name].copy()) for name in net.inputs])
    outputs = answer if isinstance(answer, dict) else {recording.outputs[0]: answer}
    if set(outputs) != set(recording.outputs) or (
        isinstance(answer, Tensor) and len(recording.outputs) > 1
    ):
        raise RecordingError(
            f"{recording.path}: the recorded outputs are {', '.join(recording.outputs)}, the "
            f"module gives {', '.join(outputs)}"
        )
    classes, probed = declared_classes(net).blobs, _sensitivities(net, recording)
    makers = {top: (place, step) for place, step in enumerate(net.steps) for top in step.tops}
    rows = []
    for name in recording.outputs:
        place, step = makers[name]
        ours = np.asarray(outputs[name].detach().cpu().numpy())
        found = compare(name, ours, recording.final(name), classes[name], probed.get(name))
        rows.append(Row("blob", step.name, step.kind.name, name, ours.shape, place, None, found))
    return Verification(
        net=type(module).__name__,
        phase=recording.phase,
        rows=tuple(rows),
        notes=("Only the outputs are compared: a module has no other blobs by Caffe's names.",),
        versions=recording.versions | {"recorded": recording.date},
        settings=settings(module, started),
    )


def _recorded_net(recording: Recording) -> CaffeNet:
    file = f"{recording.path}/net.prototxt"
    text = proto.parse_text(recording.net_text, NetParameter, file)
    net = proto.upgrade_net(text, file)
    return CaffeNet(net, recording.phase, inputs=recording.shapes)


def _sensitivities(net: CaffeNet, recording: Recording) -> dict[str, Sensitivity]:
    """How far rounding moves each output; nothing if the parameters were not recorded."""
    if not all(param.stored for param in recording.params):
        return {}
    use_recorded_params(net, recording)
    return sensitivities(
        net,
        {name: recording.inputs[name] for name in net.inputs},
        lambda _, run, __: {name: run.blobs[name] for name in recording.outputs},
    )
