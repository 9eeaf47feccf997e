"""What may be wrong with a port, a net or a recording is said in words."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import torchcaffe
from diagnosis.small import ALEX, RES, Alex, Res, build
from torchcaffe.cli import main
from torchcaffe.diagnosis.port import load_port
from torchcaffe.errors import InputError, RecordingError
from torchcaffe.recording import read_recording

QUICK = Path(__file__).parents[2] / "examples" / "quickstart"


class Wrapped(nn.Module):
    """A port whose answer is changed by ``then``."""

    def __init__(self, port: nn.Module, then: object) -> None:
        super().__init__()
        self.port, self.then = port, then

    def forward(self, data: Tensor) -> object:
        return self.then(self.port(data))  # type: ignore[operator]


@pytest.mark.parametrize(
    "then",
    [
        lambda y: (y, None),
        lambda y: {"prob": y, "more": [y * 3]},
        lambda y: [y.view(2, 10, 1, 1)],
    ],
)
def test_answers_may_be_tuples_dicts_and_lists(then: object) -> None:
    net = build(ALEX)
    found = torchcaffe.diagnose(Wrapped(Alex(net), then).eval(), net)
    assert found.passed, found.verdict


def test_another_number_of_outputs_is_said() -> None:
    net = build(ALEX)
    found = torchcaffe.diagnose(Wrapped(Alex(net), lambda y: (y, y.sum())).eval(), net)
    assert found.passed
    assert found.notes == (
        "The port returns 2 tensors, the net has 1 outputs; nothing of Caffe's stands for the "
        "port's 1.",
    )


class Scores(Alex):
    """A port that leaves the softmax to its loss."""

    def forward(self, data: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.conv1(data)), 3, 2, ceil_mode=True)
        x = torch.relu(self.conv2(nn.functional.local_response_norm(x, 5, 5e-4)))
        x = nn.functional.max_pool2d(x, 2, 2).flatten(1)
        return self.fc4(torch.relu(self.fc3(x)))


def test_scores_are_no_mistake() -> None:
    net = build(ALEX)
    found = torchcaffe.diagnose(Scores(net), net)
    assert found.passed
    assert "ends before prob: it gives scores, Caffe probabilities" in found.notes[0]


def test_a_port_that_raises_shows_its_own_lines_and_the_layer() -> None:
    net = build(ALEX)

    class Broken(Alex):
        def forward(self, data: Tensor) -> Tensor:
            x = nn.functional.max_pool2d(torch.relu(self.conv1(data)), 3, 2)
            return self.fc3(self.conv2(x).flatten(1))

    found = torchcaffe.diagnose(Broken(net), net)
    assert not found.passed
    assert "pool-rounding" in found.identifiers
    assert "The port raises, behind what stands for layer" in found.error
    assert "test_bad_input.py" in found.error
    assert "mat1 and mat2 shapes cannot be multiplied" in found.error


def test_a_port_that_changes_its_weights() -> None:
    net = build(ALEX)

    class Drifting(Alex):
        def forward(self, data: Tensor) -> Tensor:
            y = super().forward(data)
            self.fc4.weight.data.mul_(0.9)
            return y

    port = Drifting(net)
    before = port.fc4.weight.clone()
    found = torchcaffe.diagnose(port, net)
    assert any("changes its own weights when it runs (fc4.weight)" in n for n in found.notes)
    assert torch.equal(port.fc4.weight, before)


def test_another_net_is_said_to_be_another() -> None:
    net, other = build(ALEX), build(RES)
    found = torchcaffe.diagnose(Res(other), net)
    assert not found.passed
    assert "Almost nothing aligns: " in found.error
    assert "Is this the prototxt of another net?" in found.error


def test_a_recording_with_other_weights(tmp_path: Path) -> None:
    recording = read_recording(QUICK / "recording")
    net = torchcaffe.load(QUICK / "deploy.prototxt", QUICK / "weights.caffemodel")
    with torch.no_grad():
        net.params["conv1"][0].mul_(2)
    torchcaffe.save_weights(net, tmp_path / "other.caffemodel")
    with pytest.raises(RecordingError, match="has other weights than the recorded net"):
        torchcaffe.diagnose(
            net, QUICK / "deploy.prototxt", weights=tmp_path / "other.caffemodel",
            recording=recording,
        )  # fmt: skip


def test_a_recording_is_reference_enough() -> None:
    recording = read_recording(QUICK / "recording")
    port = torchcaffe.load(QUICK / "deploy.prototxt", QUICK / "weights.caffemodel")
    assert torchcaffe.diagnose(port, recording=recording).passed


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("port", "PORT takes file.py:name or package.module:name"),
        ("nothing.py:build", "there is no file nothing.py"),
        ("no_such_package:build", "there is no module no_such_package"),
        ("torch.nn:NoSuchName", 'torch.nn has no "NoSuchName"'),
        ("torch.nn:Linear", "cannot be called without arguments"),
    ],
)
def test_where_a_port_is(where: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_port(where)


PORT = """
import torchcaffe
from torch import nn

def build():
    net = torchcaffe.load({net!r}, {weights!r})
    if {bug}:
        net.params["conv1"][1].data.zero_()
    return net
"""


@pytest.mark.parametrize("bug", [False, True])
def test_the_exit_status(bug: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, weights = str(QUICK / "deploy.prototxt"), str(QUICK / "weights.caffemodel")
    file = tmp_path / f"port_{bug}.py"
    file.write_text(PORT.format(net=net, weights=weights, bug=bug))
    page = tmp_path / "page.html"
    with pytest.raises(SystemExit) as stop:
        main(["diagnose", f"{file}:build", "--net", net, "--weights", weights,
              "--html", str(page)])  # fmt: skip
    assert stop.value.code == int(bug)
    printed = capsys.readouterr().out
    assert ("conv-bias" in printed) is bug
    text = page.read_text()
    assert ("conv-bias" in text) is bug
    assert "The two nets side by side" in text
    assert "<script" not in text


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["diagnose", "torch.nn:Identity"])
    assert stop.value.code == 2
