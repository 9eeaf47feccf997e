"""Right ports in many styles pass, and mistakes are found through wrappings of all kinds."""

import copy
from functools import cache

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

import torchcaffe
from diagnosis.small import ALEX, RES, Alex, Res, build
from torchcaffe.net import CaffeNet


@cache
def net_of(text: str) -> CaffeNet:
    return build(text)


class Around(nn.Module):
    """A port inside of another module."""

    def __init__(self, port: nn.Module) -> None:
        super().__init__()
        self.port = port
        self.eval()

    def forward(self, data: Tensor) -> Tensor:
        return self.port(data)


class Inference(Around):
    @torch.inference_mode()
    def forward(self, data: Tensor) -> Tensor:
        return self.port(data)


class Numpy(Around):
    def forward(self, data: Tensor) -> Tensor:
        return torch.from_numpy(self.port(data).detach().numpy().copy())


class Autocast(Around):
    def forward(self, data: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.port(data).float()


class ImageNet(Around):
    def forward(self, data: Tensor) -> Tensor:
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        spread = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        return self.port((data / 255 - mean) / spread)


class TwoFlips(Around):
    """Weights for RGB, and the channels turned to it."""

    def __init__(self, port: Alex) -> None:
        super().__init__(copy.deepcopy(port))
        weight = self.port.conv1.weight
        weight.data = weight.data.flip(1)

    def forward(self, data: Tensor) -> Tensor:
        return self.port(data[:, [2, 1, 0]])


class Apart(Around):
    """Padding, biases and matrices written out; ReLU behind pooling."""

    def forward(self, data: Tensor) -> Tensor:
        a = self.port
        x = F.conv2d(data, a.conv1.weight, None, 2) + a.conv1.bias[:, None, None]
        x = F.local_response_norm(F.relu(F.max_pool2d(x, 3, 2, ceil_mode=True)), 5, 5e-4)
        x = F.conv2d(F.pad(x, (1, 1, 1, 1)), a.conv2.weight, None, groups=2)
        x = x + a.conv2.bias.view(1, -1, 1, 1)
        x = F.relu(F.max_pool2d(x, 2, 2, ceil_mode=True)).reshape(2, -1)
        x = F.relu(x @ a.fc3.weight.T + a.fc3.bias)
        return nn.Softmax(dim=-1)(x.matmul(a.fc4.weight.t()).add(a.fc4.bias))


class Mask(Around):
    """Dropout by hand, and never turned off."""

    def forward(self, data: Tensor) -> Tensor:
        a = self.port
        x = F.max_pool2d(F.relu(a.conv1(data)), 3, 2, ceil_mode=True)
        x = F.relu(a.conv2(F.local_response_norm(x, 5, 5e-4)))
        x = F.relu(a.fc3(F.max_pool2d(x, 2, 2, ceil_mode=True).flatten(1)))
        x = x * (torch.rand_like(x) > 0.5) * 2
        return F.softmax(a.fc4(x), 1)


def identifiers(port: nn.Module, text: str) -> tuple[str, ...]:
    found = torchcaffe.diagnose(port, net_of(text))
    assert not found.unexplained, [part.words for part in found.unexplained]
    assert not found.error
    assert found.passed is not bool(found.causes)
    return found.identifiers


@pytest.mark.parametrize("style", [Around, Inference, Numpy, TwoFlips, Apart])
def test_a_right_port_passes(style: type[Around]) -> None:
    assert identifiers(style(Alex(net_of(ALEX))), ALEX) == ()


def test_a_port_in_double_precision_passes() -> None:
    assert identifiers(Res(net_of(RES)).double(), RES) == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_traced_port_is_one_call() -> None:
    traced = torch.jit.trace(Res(net_of(RES)), torch.randn(2, 3, 36, 36))
    assert identifiers(traced, RES) == ()


@pytest.mark.parametrize(
    ("style", "cause"),
    [
        (Autocast, ["precision"]),
        (ImageNet, ["input-scale", "mean-subtraction"]),
        (Mask, ["dropout-active"]),
    ],
)
def test_what_is_wrong_is_named(style: type[Around], cause: list[str]) -> None:
    torch.manual_seed(1)
    assert sorted(identifiers(style(Alex(net_of(ALEX))), ALEX)) == cause


def test_mistakes_are_found_through_a_graph_of_torch_fx() -> None:
    port = torch.fx.symbolic_trace(Res(net_of(RES), "relu-missing"))
    assert identifiers(port, RES) == ("relu-missing",)


def test_a_port_that_was_never_told_to_be_in_use() -> None:
    assert identifiers(Alex(net_of(ALEX)).train(), ALEX) == ("dropout-active",)


def test_bfloat16_throughout() -> None:
    assert identifiers(Res(net_of(RES)).bfloat16(), RES) == ("precision",)
