"""Hold a net against a recording of Caffe, blob by blob in net order."""

from __future__ import annotations

from torch import nn

from torchcaffe.net import CaffeNet
from torchcaffe.parity.verification import Verification
from torchcaffe.recording import Recording


def verify(net: CaffeNet, recording: Recording) -> Verification:
    """Compare every blob, parameter and (where recorded) gradient; the net is left as it was.

    ``net`` is ``torchcaffe.load(prototxt, weights, phase=recording.phase,
    inputs=recording.shapes)``. RecordingError if net and recording are not of the same layers.
    """
    raise NotImplementedError


def verify_module(module: nn.Module, recording: Recording) -> Verification:
    """Compare only the outputs of a module that ``torchcaffe convert`` wrote.

    It is called with the recorded inputs in their order, and gives a tensor, a tuple in the order
    of the net's outputs, or a dict by blob name.
    """
    raise NotImplementedError


def use_recorded_params(net: CaffeNet, recording: Recording) -> None:
    """Put the recorded parameters into ``net``, for a recording without a weights file.

    RecordingError if they were left out (``--no-weights``) or do not fit.
    """
    raise NotImplementedError
