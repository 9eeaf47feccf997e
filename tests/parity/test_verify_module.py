"""Plain modules against recordings: their outputs are all there is to compare."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import torchcaffe
from torchcaffe.errors import RecordingError
from torchcaffe.net import CaffeNet
from torchcaffe.parity.verify import use_recorded_params
from torchcaffe.parity.verify_module import verify_module
from torchcaffe.recording import Recording, read_recording

QUICKSTART = Path(__file__).parent.parent.parent / "examples" / "quickstart"


class Port(nn.Module):
    """A port of the net by hand, whose output can be wrong by a factor."""

    def __init__(self, net: CaffeNet, factor: float = 1.0, name: str | None = None) -> None:
        super().__init__()
        self.net, self.factor, self.name = net, factor, name

    def forward(self, data: Tensor) -> Tensor | dict[str, Tensor]:
        y = self.net(data)["prob"] * self.factor
        return y if self.name is None else {self.name: y}


@pytest.fixture
def recording() -> Recording:
    return read_recording(QUICKSTART / "recording")


@pytest.fixture
def net(recording: Recording) -> CaffeNet:
    net = torchcaffe.load(QUICKSTART / "deploy.prototxt", inputs=recording.shapes)
    use_recorded_params(net, recording)
    return net


@pytest.mark.parametrize("name", [None, "prob"])
def test_a_right_port(net: CaffeNet, recording: Recording, name: str | None) -> None:
    found = verify_module(Port(net, name=name), recording)
    assert found.passed, found.verdict
    assert [(row.name, row.local) for row in found.rows] == [("prob", None)]
    assert found.verdict.startswith('"Port" is the same network: 1 blob compared with Caffe')
    assert any("Only the outputs are compared" in note for note in found.notes)


def test_a_wrong_port(net: CaffeNet, recording: Recording) -> None:
    found = verify_module(Port(net, factor=1 + 1e-3), recording)
    assert not found.passed
    assert found.verdict.startswith('"Port" is not the same network: 1 of 1 blobs differs.')


def test_outputs_of_other_names_are_refused(net: CaffeNet, recording: Recording) -> None:
    with pytest.raises(RecordingError, match="outputs are prob, the module gives probability"):
        verify_module(Port(net, name="probability"), recording)


def test_an_output_of_another_shape(net: CaffeNet, recording: Recording) -> None:
    class Flat(nn.Module):
        def forward(self, data: Tensor) -> Tensor:
            return torch.zeros(20)

    found = verify_module(Flat(), recording)
    assert "shape is (20,), theirs is (2, 10)" in found.verdict.lower()
