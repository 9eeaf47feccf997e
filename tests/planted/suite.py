"""Ports with bugs planted in them, one, two or three at a time, and right ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from planted import alex, dense, residual, small
from planted.strangers import STRANGERS
from planted.styles import STYLES
from torchcaffe.net import CaffeNet

Blobs = dict[str, list[Tensor]]
Port = Callable[[Blobs, frozenset[str]], nn.Module]

PORTS: dict[str, tuple[Port, tuple[str, ...]]] = {
    "lenet": (small.LeNet, small.BUGS),
    "caffenet": (alex.CaffeNet, alex.CAFFENET_BUGS),
    "goturn": (alex.Goturn, alex.GOTURN_BUGS),
    "resnet18": (residual.ResNet18, residual.RESNET18_BUGS),
    "bottleneck": (residual.Bottleneck, residual.BOTTLENECK_BUGS),
    "googlenet": (dense.GoogLeNet, dense.GOOGLENET_BUGS),
    "fcn": (dense.FCN, dense.FCN_BUGS),
    "unet": (dense.UNet, dense.UNET_BUGS),
}
TOGETHER = (
    ("lenet", "flatten-order", "conv-bias"),
    ("lenet", "pool-kind", "weight-transpose", "softmax-twice"),
    ("caffenet", "lrn-alpha", "fc-bias"),
    ("caffenet", "lrn-order", "conv-group", "weight-transpose"),
    ("caffenet", "channel-order", "relu-missing"),
    ("goturn", "weight-swapped", "lrn-alpha"),
    ("goturn", "concat-order", "lrn-missing"),
    ("resnet18", "batchnorm-eps", "pool-rounding", "fc-bias"),
    ("resnet18", "batchnorm-scale-factor", "eltwise-coeff"),
    ("resnet18", "scale-bias-missing", "weight-swapped"),
    ("bottleneck", "batchnorm-scale-factor", "stride-position"),
    ("bottleneck", "batchnorm-eps", "conv-bias", "pool-padding-average"),
    ("googlenet", "concat-order", "lrn-order"),
    ("googlenet", "conv-bias", "pool-kind", "softmax-twice"),
    ("fcn", "conv-dilation", "eltwise-coeff"),
    ("fcn", "prelu-shared", "crop-offset", "batchnorm-eps"),
    ("unet", "deconv-padding", "crop-axis"),
)


@dataclass(frozen=True)
class Case:
    """A port: of which net, written how, with which bugs."""

    architecture: str
    bugs: tuple[str, ...]
    style: str = ""

    def __str__(self) -> str:
        return "-".join((self.architecture, self.style, "+".join(self.bugs))).strip("-")

    def build(self, net: CaffeNet) -> nn.Module:
        """The port, with the weights of ``net``, as its author would hand it over."""
        blobs = {layer: [v.detach().clone() for v in vs] for layer, vs in net.params.items()}
        if self.style in STRANGERS:
            return STRANGERS[self.style][1](blobs, frozenset(self.bugs)).eval()
        if self.style:
            return STYLES[self.style][1](blobs)
        return PORTS[self.architecture][0](blobs, frozenset(self.bugs)).eval()


SINGLE = [Case(name, (bug,)) for name, (_, bugs) in PORTS.items() for bug in bugs]
SEVERAL = [Case(name, tuple(bugs)) for name, *bugs in TOGETHER]
RIGHT = [Case(name, ()) for name in PORTS]
RIGHT += [Case(name, (), style) for style, (name, _) in STYLES.items()]
STRANGE = [
    Case(architecture, bugs, style)
    for style, (architecture, _, planted) in STRANGERS.items()
    for bugs in planted
]
SEVERAL += [case for case in STRANGE if case.bugs]
RIGHT += [case for case in STRANGE if not case.bugs]
CASES = [*SINGLE, *SEVERAL, *RIGHT]
