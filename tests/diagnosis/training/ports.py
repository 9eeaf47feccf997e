"""Small Caffe nets with a port of each that trains as Caffe does, to plant mistakes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchcaffe import optim
from torchcaffe.diagnosis import Cause
from torchcaffe.diagnosis.training import (
    TrainingDiagnosis,
    diagnose_training,
    reference_for,
    training_port,
)
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import NetParameter, SolverParameter

STEP = 'base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 1000 max_iter: 3000 '
FIXED = 'base_lr: 0.01 lr_policy: "fixed" max_iter: 3000 '
SGD = "momentum: 0.9 weight_decay: 0.0005 "
ADAM = 'type: "Adam" momentum: 0.9 momentum2: 0.999 delta: 1e-8 weight_decay: 0.0005 '
RMSPROP = 'type: "RMSProp" rms_decay: 0.98 weight_decay: 0.0005 '
NESTEROV = 'type: "Nesterov" momentum: 0.9 weight_decay: 0.0005 '

LEARN = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"

LENET = f"""
layer {{ name: "data" type: "Input" top: "data" top: "label"
  input_param {{ shape {{ dim: 10 dim: 3 dim: 12 dim: 12 }} shape {{ dim: 10 }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" {LEARN}
  convolution_param {{ num_output: 8 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1" {LEARN}
  inner_product_param {{ num_output: 16 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu2" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "drop" type: "Dropout" bottom: "ip1" top: "ip1"
  dropout_param {{ dropout_ratio: 0.4 }} }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" {LEARN}
  inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""

FROZEN = "param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }"
HEAD = "param { lr_mult: 10 decay_mult: 1 } param { lr_mult: 20 decay_mult: 0 }"
GAUSS = 'weight_filler { type: "gaussian" std: 0.1 } bias_filler { type: "constant" value: 1 }'

TRACKER = f"""
layer {{ name: "in" type: "Input" top: "target" top: "image" top: "bbox"
  input_param {{ shape {{ dim: 6 dim: 3 dim: 9 dim: 9 }} shape {{ dim: 6 dim: 3 dim: 9 dim: 9 }}
                 shape {{ dim: 6 dim: 4 dim: 1 dim: 1 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "target" top: "conv" {FROZEN}
  convolution_param {{ num_output: 4 kernel_size: 3 stride: 2 {GAUSS} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "conv_p" type: "Convolution" bottom: "image" top: "conv_p" {FROZEN}
  convolution_param {{ num_output: 4 kernel_size: 3 stride: 2 {GAUSS} }} }}
layer {{ name: "relu_p" type: "ReLU" bottom: "conv_p" top: "conv_p" }}
layer {{ name: "cat" type: "Concat" bottom: "conv" bottom: "conv_p" top: "cat" }}
layer {{ name: "fc6" type: "InnerProduct" bottom: "cat" top: "fc6" {HEAD}
  inner_product_param {{ num_output: 24 {GAUSS} }} }}
layer {{ name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }}
layer {{ name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" }}
layer {{ name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7" {HEAD}
  inner_product_param {{ num_output: 4 {GAUSS} }} }}
layer {{ name: "neg" type: "Power" bottom: "bbox" top: "neg" power_param {{ scale: -1 }} }}
layer {{ name: "flat" type: "Flatten" bottom: "neg" top: "flat" }}
layer {{ name: "diff" type: "Eltwise" bottom: "fc7" bottom: "flat" top: "diff" }}
layer {{ name: "loss" type: "Reduction" bottom: "diff" top: "loss" loss_weight: 1
  reduction_param {{ operation: ASUM }} }}
"""

STILL = "batch_norm_param { use_global_stats: true }"

RESIDUAL = f"""
layer {{ name: "data" type: "Input" top: "data" top: "wanted"
  input_param {{ shape {{ dim: 7 dim: 2 dim: 8 dim: 8 }} shape {{ dim: 7 dim: 3 }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param {{ }}
  convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 bias_term: false
    weight_filler {{ type: "msra" }} }} }}
layer {{ name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" BN1 }}
layer {{ name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" {LEARN}
  scale_param {{ bias_term: true }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2" param {{ }}
  convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 bias_term: false
    weight_filler {{ type: "msra" }} }} }}
layer {{ name: "bn2" type: "BatchNorm" bottom: "conv2" top: "conv2" BN2 }}
layer {{ name: "scale2" type: "Scale" bottom: "conv2" top: "conv2" {LEARN}
  scale_param {{ bias_term: true }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }}
layer {{ name: "relu2" type: "ReLU" bottom: "sum" top: "sum" }}
layer {{ name: "pool" type: "Pooling" bottom: "sum" top: "pool"
  pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" {LEARN}
  inner_product_param {{ num_output: 3 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "wanted" top: "loss" }}
"""


def uniform(p: Tensor, fan: float) -> None:
    nn.init.uniform_(p, -((3 / fan) ** 0.5), (3 / fan) ** 0.5)


class Lenet(nn.Module):
    ratio = 0.4

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3)
        self.hidden = nn.Linear(200, 16)
        self.classes = nn.Linear(16, 5)
        for layer in (self.features, self.hidden, self.classes):
            uniform(layer.weight, layer.weight[0].numel())
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.features(x)), 2).flatten(1)
        return self.classes(F.dropout(F.relu(self.hidden(x)), self.ratio, self.training))


class Tracker(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.conv_p = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(3, 4, 3, 2)
        self.head = nn.Sequential(
            nn.Linear(128, 24), nn.ReLU(True), nn.Dropout(0.5), nn.Linear(24, 4)
        )
        for layer in (self.conv, self.conv_p, self.head[0], self.head[3]):
            nn.init.normal_(layer.weight, 0, 0.1)
            nn.init.ones_(layer.bias)

    def forward(self, previous: Tensor, current: Tensor) -> Tensor:
        both = [F.relu(self.conv(previous)), F.relu(self.conv_p(current))]
        return self.head(torch.cat(both, 1).flatten(1))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(c, 6, 3, 1, 1, bias=False) for c in (2, 6))
        self.bn1, self.bn2 = (nn.BatchNorm2d(6, momentum=0.001) for _ in range(2))
        self.fc = nn.Linear(6, 3)
        nn.init.zeros_(self.fc.bias)
        for layer in (self.conv1, self.conv2, self.fc):
            nn.init.normal_(layer.weight, 0, (2 / layer.weight[0].numel()) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(x + self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


@dataclass
class Kit:
    """A Caffe net, a module that is it, and its loss; ``multipliers`` of a parameter by name."""

    net: str
    module: Callable[[], nn.Module]
    loss: Callable[..., Tensor]
    multipliers: Callable[[str], tuple[float, float]]


def plain(name: str) -> tuple[float, float]:
    return (2.0, 0.0) if name.endswith("bias") else (1.0, 1.0)


def tracking(name: str) -> tuple[float, float]:
    if name.startswith("conv"):
        return 0.0, 0.0
    return (20.0, 0.0) if name.endswith("bias") else (10.0, 1.0)


KITS = {
    "lenet": Kit(LENET, Lenet, F.cross_entropy, plain),
    "tracker": Kit(TRACKER, Tracker, lambda x, y: (x - y).abs().sum(), tracking),
    "residual": Kit(
        RESIDUAL.replace("BN1", "").replace("BN2", ""),
        Residual,
        lambda x, y: (x - y).square().sum() / (2 * len(x)),
        plain,
    ),
    "residual-still": Kit(
        RESIDUAL.replace("BN1", STILL).replace("BN2", STILL),
        Residual,
        lambda x, y: (x - y).square().sum() / (2 * len(x)),
        plain,
    ),
}

Multipliers = Callable[[str], tuple[float, float]]


def groups(
    kit: Kit, model: nn.Module, lr: float = 0.01, decay: float = 0.0005, **change: Any
) -> list[dict[str, Any]]:
    """A group for each parameter; ``change`` multiplies rates or sets decays of biases."""
    found = []
    for name, param in model.named_parameters():
        rate, decays = kit.multipliers(name)
        if name.endswith("bias"):
            rate *= change.get("bias_rate", 1.0)
            decays = change.get("bias_decay", decays)
        if not rate and "thaw" not in change:
            param.requires_grad_(False)
            continue
        rate = rate or change["thaw"]
        found.append({"params": [param], "lr": lr * rate, "weight_decay": decay * decays})
    return found


def caffe_sgd(kit: Kit, model: nn.Module, momentum: float = 0.9, **change: Any) -> Any:
    return optim.SGD(groups(kit, model, **change), lr=0.01, momentum=momentum)


def of(kind: Any, **settings: Any) -> Callable[..., Any]:
    """An optimizer of a kind, with settings of its own and changed groups."""

    def make(kit: Kit, model: nn.Module, **change: Any) -> Any:
        return kind(groups(kit, model, **change), lr=0.01, **settings)

    return make


def port(
    kit: Kit,
    *,
    optimizer: Callable[..., Any] = caffe_sgd,
    loss: Callable[..., Tensor] | None = None,
    edit: Callable[[nn.Module], Any] = lambda model: None,
    members: Callable[[Any, Any], dict[str, Any]] = lambda model, optimizer: {},
    **change: Any,
) -> Callable[[], dict[str, Any]]:
    """A callable that builds a port; what is not given is as Caffe has it."""

    def build() -> dict[str, Any]:
        model = kit.module()
        edit(model)
        made = optimizer(kit, model, **change)
        return {
            "model": model,
            "optimizer": made,
            "loss": loss or kit.loss,
            **members(model, made),
        }

    return build


def solver(kit: Kit, text: str = FIXED + SGD, net: str | None = None) -> SolverParameter:
    found = parse_text(text, SolverParameter)
    found.net_param = parse_text(net or kit.net, NetParameter)
    return found


def diagnosed(
    build: Callable[[], Any], solved: SolverParameter, **options: Any
) -> TrainingDiagnosis:
    """The diagnosis of a port, which must be left as it was found."""
    torch.manual_seed(4)
    given = build()
    model = given["model"] if isinstance(given, dict) else given.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    read = training_port(given)
    found = diagnose_training(read, reference_for(read, solved), build=build, **options)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert value.dtype == before[name].dtype
    assert modes == [module.training for module in model.modules()]
    return found


def cause(found: TrainingDiagnosis, identifier: str) -> Cause:
    return next(cause for cause in found.causes if cause.identifier == identifier)


COUNTED: list[tuple[tuple[str, ...], tuple[str, ...], int]] = []
"""What was planted, found, and left unexplained; scripts/diagnose_suite.py reads it."""


def expect(found: TrainingDiagnosis, *identifiers: str) -> None:
    """Exactly these causes, nothing unexplained, and with them made in Caffe both stay together."""
    COUNTED.append((identifiers, tuple(found.identifiers), len(found.unexplained)))
    words = [cause.words for cause in found.causes] + [one.words for one in found.unexplained]
    assert sorted(found.identifiers) == sorted(identifiers), "\n".join([*words, *found.notes])
    assert not found.unexplained, "\n".join(words)
    assert not any("part all the same" in note for note in found.notes), found.notes
