"""Two small nets, and a port of each whose mistakes are chosen by name."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchcaffe import proto
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter

ALEX = """
name: "alex"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 44 dim: 44 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 16 kernel_size: 5 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0005 beta: 0.75 } }
layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
  convolution_param { num_output: 24 kernel_size: 3 pad: 1 group: 2 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc3" type: "InnerProduct" bottom: "pool2" top: "fc3"
  inner_product_param { num_output: 32 } }
layer { name: "relu3" type: "ReLU" bottom: "fc3" top: "fc3" }
layer { name: "drop3" type: "Dropout" bottom: "fc3" top: "fc3" }
layer { name: "fc4" type: "InnerProduct" bottom: "fc3" top: "fc4"
  inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "fc4" top: "prob" }
"""  # noqa: E501


def unit(name: str, bottom: str, out: int, kernel: int, stride: int, relu: bool = True) -> str:
    pad = kernel // 2
    text = f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{
  num_output: {out} kernel_size: {kernel} stride: {stride} pad: {pad} bias_term: false }} }}
layer {{ name: "bn_{name}" type: "BatchNorm" bottom: "{name}" top: "{name}" }}
layer {{ name: "scale_{name}" type: "Scale" bottom: "{name}" top: "{name}"
  scale_param {{ bias_term: true }} }}
"""
    if relu:
        text += f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'
    return text


RES = (
    'name: "res"\nlayer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 3 dim: 36 dim: 36 } } }\n"
    + unit("stem", "data", 16, 3, 2)
    + """layer { name: "pool" type: "Pooling" bottom: "stem" top: "pool"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
"""
    + unit("a1", "pool", 8, 1, 2)
    + unit("a2", "a1", 8, 3, 1)
    + unit("a3", "a2", 32, 1, 1, relu=False)
    + unit("a0", "pool", 32, 1, 2, relu=False)
    + """layer { name: "suma" type: "Eltwise" bottom: "a0" bottom: "a3" top: "suma" }
layer { name: "relu_suma" type: "ReLU" bottom: "suma" top: "suma" }
"""
    + unit("b1", "suma", 8, 1, 1)
    + unit("b2", "b1", 8, 3, 1)
    + unit("b3", "b2", 32, 1, 1, relu=False)
    + """layer { name: "sumb" type: "Eltwise" bottom: "suma" bottom: "b3" top: "sumb" }
layer { name: "relu_sumb" type: "ReLU" bottom: "sumb" top: "sumb" }
layer { name: "global" type: "Pooling" bottom: "sumb" top: "global"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "global" top: "fc"
  inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
)


def build(text: str, seed: int = 0) -> CaffeNet:
    """The net with weights that keep its numbers in range, and statistics as Caffe leaves them."""
    net = CaffeNet(proto.parse_text(text, NetParameter, "small.prototxt"), "TEST", seed=1)
    torch.manual_seed(seed)
    for step in net.steps:
        blobs = net.params.get(step.name, [])
        with torch.no_grad():
            if step.kind.name == "BatchNorm":
                factor = 999.98236
                blobs[0].copy_(torch.randn(len(blobs[0])) * factor)
                blobs[1].copy_((torch.rand(len(blobs[1])) * 2 + 0.5) * factor)
                blobs[2].fill_(factor)
            elif step.kind.name == "Scale":
                blobs[0].copy_(torch.rand(len(blobs[0])) + 0.5)
                blobs[1].copy_(torch.randn(len(blobs[1])) * 0.3)
            elif blobs:
                fan = blobs[0][0].numel()
                blobs[0].copy_(torch.randn(blobs[0].shape) * (2 / fan) ** 0.5)
                if step.name in ("conv1", "stem"):
                    blobs[0].mul_(1 / 50)
                if len(blobs) > 1:
                    blobs[1].copy_(torch.randn(len(blobs[1])) * 0.3)
    return net


class Alex(nn.Module):
    """A port of ALEX with the mistakes in ``bugs``."""

    def __init__(self, net: CaffeNet, *bugs: str) -> None:
        super().__init__()
        self.bugs = set(bugs)
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=1 if "conv-padding" in bugs else 0)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1, groups=2)
        self.fc3, self.fc4 = nn.Linear(24 * 5 * 5, 32), nn.Linear(32, 10)
        self.drop = nn.Dropout()
        for name in ("conv1", "conv2", "fc3", "fc4"):
            layer = getattr(self, name)
            with torch.no_grad():
                layer.weight.copy_(net.params[name][0])
                layer.bias.copy_(net.params[name][1])
        with torch.no_grad():
            if "conv-flip" in bugs:
                self.conv1.weight.copy_(self.conv1.weight.flip(2, 3))
            if "conv-bias" in bugs:
                self.conv2.bias.zero_()
            if "weight-not-loaded" in bugs:
                nn.init.normal_(self.fc3.weight, std=0.02)
            if "weight-reshape" in bugs:
                weight = net.params["fc3"][0]
                self.fc3.weight.copy_(weight.t().reshape(weight.shape))
        self.eval()

    def forward(self, data: Tensor) -> Tensor:
        bugs = self.bugs
        if "channel-order" in bugs:
            data = data[:, [2, 1, 0]]
        if "mean-subtraction" in bugs:
            data = data - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
        if "input-scale" in bugs:
            data = data / 255
        x = self.conv1(data)
        x = x if "relu-missing" in bugs else F.relu(x)
        if "lrn-order" in bugs:
            x = F.max_pool2d(F.local_response_norm(x, 5, 5e-4), 3, 2, ceil_mode=True)
        else:
            x = F.max_pool2d(x, 3, 2, ceil_mode="pool-rounding" not in bugs)
            if "lrn-alpha" in bugs:
                x = F.local_response_norm(x, 5, 5e-4 * 5)
            elif "lrn-missing" not in bugs:
                x = F.local_response_norm(x, 5, 5e-4)
        x = self.conv2(x)
        x = F.leaky_relu(x, 0.1) if "relu-slope" in bugs else F.relu(x)
        x = F.avg_pool2d(x, 2, 2) if "pool-kind" in bugs else F.max_pool2d(x, 2, 2, ceil_mode=True)
        x = x.permute(0, 2, 3, 1).flatten(1) if "flatten-order" in bugs else x.flatten(1)
        x = F.relu(self.fc3(x))
        x = F.dropout(x, 0.5) if "dropout-active" in bugs else self.drop(x)
        x = self.fc4(x)
        if "softmax-axis" in bugs:
            return F.softmax(x, 0)
        if "softmax-twice" in bugs:
            x = F.softmax(x, 1)
        return F.softmax(x, 1)


class Res(nn.Module):
    """A port of RES with the mistakes in ``bugs``; BatchNorm and Scale are one layer."""

    def __init__(self, net: CaffeNet, *bugs: str) -> None:
        super().__init__()
        self.bugs = set(bugs)
        strides = {"a1": 2, "a0": 2, "stem": 2}
        if "stride-position" in bugs:
            strides |= {"a1": 1, "a2": 2}
        for step in net.steps:
            if step.kind.name == "Convolution":
                out, channels, kernel, _ = net.params[step.name][0].shape
                stride = strides.get(step.name, 1)
                conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
                eps = 1e-3 if "batchnorm-eps" in bugs else 1e-5
                norm = nn.BatchNorm2d(out, eps=eps)
                with torch.no_grad():
                    conv.weight.copy_(net.params[step.name][0])
                    self._load(norm, net, step.name)
                self.add_module(step.name, conv)
                self.add_module(f"bn_{step.name}", norm)
        self.fc = nn.Linear(32, 10)
        with torch.no_grad():
            self.fc.weight.copy_(net.params["fc"][0])
            if "fc-bias" in bugs:
                self.fc.bias.zero_()
            else:
                self.fc.bias.copy_(net.params["fc"][1])
            if "weight-swapped" in bugs:
                self.a2.weight.copy_(net.params["b2"][0])
                self.b2.weight.copy_(net.params["a2"][0])
        self.eval()
        if "batchnorm-train-mode" in bugs:
            self.bn_b2.train()

    def _load(self, norm: nn.BatchNorm2d, net: CaffeNet, name: str) -> None:
        mean, variance, factor = net.params[f"bn_{name}"]
        if "batchnorm-scale-factor" in self.bugs:
            factor = torch.ones(1)
        norm.running_mean.copy_(mean / factor)
        norm.running_var.copy_(variance / factor)
        weight, bias = net.params[f"scale_{name}"]
        if "batchnorm-affine-missing" not in self.bugs or name != "a2":
            norm.weight.copy_(weight)
            if "scale-bias-missing" not in self.bugs:
                norm.bias.copy_(bias)

    def unit(self, x: Tensor, name: str, relu: bool = True) -> Tensor:
        x = getattr(self, f"bn_{name}")(getattr(self, name)(x))
        return F.relu(x) if relu and (name, "relu-missing") not in {
            ("b1", bug) for bug in self.bugs} else x  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.unit(x, "stem")
        x = F.max_pool2d(x, 3, 2, ceil_mode="pool-rounding" not in self.bugs)
        short = self.unit(x, "a0", relu=False)
        y = self.unit(self.unit(self.unit(x, "a1"), "a2"), "a3", relu=False)
        x = F.relu(short - y if "eltwise-coeff" in self.bugs else short + y)
        y = self.unit(self.unit(self.unit(x, "b1"), "b2"), "b3", relu=False)
        x = F.relu(x + y)
        return F.softmax(self.fc(x.mean((2, 3))), 1)
