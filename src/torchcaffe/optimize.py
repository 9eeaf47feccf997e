"""A net for inference on the CPU: folded, fused and packed; close to the exact net, not its bits.

BatchNorm, Scale and Bias behind a convolution are folded into its weights; a ReLU, and a sum with
an earlier blob, are computed with it, and a ReLU with an inner product; weights are packed for
oneDNN, and blobs lie channels last. In bfloat16, convolutions and inner products read weights and
bottoms in half the bytes; what they answer, and all that other layers compute, is float32.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.build import Step, apply
from torchcaffe.layers._call import Bottom, Call
from torchcaffe.layers._registry import Shape

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]


@dataclass
class Affine:
    """y = x * scale + shift for each channel."""

    scale: Tensor
    shift: Tensor

    def __call__(self, bottoms: Sequence[Tensor]) -> Sequence[Tensor]:
        """(N, C, ...) to the same shape."""
        (x,) = bottoms
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return (torch.addcmul(self.shift.view(shape), x, self.scale.view(shape)),)


@dataclass
class FusedConvolution:
    """A two-dimensional convolution, then a sum, then a ReLU, as one oneDNN primitive."""

    weight: Tensor
    bias: Tensor
    stride: Sequence[int]
    pad: Sequence[int]
    dilation: Sequence[int]
    group: int
    dtype: torch.dtype = torch.float32
    adds: bool = False
    relu: bool = False
    packed: bool = False

    def fold(self, affine: Affine) -> None:
        """Put an affine map of the channels into weight and bias."""
        self.weight = self.weight * affine.scale.view(-1, 1, 1, 1)
        self.bias = self.bias * affine.scale + affine.shift

    def pack(self, size: Shape) -> None:
        """Lay the weight out as oneDNN likes it for bottoms of ``size``."""
        weight = self.weight.to(self.dtype).contiguous(memory_format=torch.channels_last)
        self.bias = self.bias.to(self.dtype)
        if _has_onednn(weight):
            weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight, self.pad, self.stride, self.dilation, self.group, list(size)
            )
            self.packed = True
        self.weight = weight

    def __call__(self, bottoms: Sequence[Tensor]) -> Sequence[Tensor]:
        """(N, C, H, W), and what to add, to (N, num_output, h, w)."""
        x = bottoms[0].to(self.dtype)
        shape = (list(self.pad), list(self.stride), list(self.dilation), self.group)
        relu = "relu" if self.relu else None
        convolve = torch.ops.mkldnn._convolution_pointwise
        if not self.packed:
            y = functional.conv2d(
                x, self.weight, self.bias, self.stride, self.pad, self.dilation, self.group
            )
            y = y + bottoms[1] if self.adds else y
            return ((functional.relu(y) if self.relu else y).float(),)
        if not self.adds:
            y = convolve(x, self.weight, self.bias, *shape, relu or "none", [], "")
            return (y.float(),)
        other = bottoms[1].to(self.dtype).contiguous(memory_format=torch.channels_last)
        y = convolve.binary(x, other, self.weight, self.bias, *shape, "add", 1.0, relu, [], "")
        return (y.float(),)


@dataclass
class FusedProduct:
    """An inner product, then a ReLU, as one oneDNN primitive."""

    weight: Tensor
    bias: Tensor | None
    axis: int
    dtype: torch.dtype = torch.float32
    relu: bool = False
    packed: bool = False

    def pack(self, size: Shape) -> None:
        """Lay the weight out as oneDNN likes it for bottoms of ``size``."""
        weight = self.weight.to(self.dtype).contiguous()
        if self.bias is not None:
            self.bias = self.bias.to(self.dtype)
        if _has_onednn(weight):
            rows = math.prod(size[: self.axis])
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
            self.packed = True
        self.weight = weight

    def __call__(self, bottoms: Sequence[Tensor]) -> Sequence[Tensor]:
        """(N..., features...) to (N..., num_output)."""
        x = bottoms[0].flatten(self.axis).to(self.dtype)
        if self.packed:
            kind = "relu" if self.relu else "none"
            y = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, kind, [], "")
        else:
            y = functional.linear(x, self.weight, self.bias)
            y = functional.relu(y) if self.relu else y
        return (y.float(),)


@dataclass
class Normalization:
    """LRN over channels: the sums over neighbours are a 1 x 1 convolution with a band of ones.

    For so few channels that this takes less time than running sums do.
    """

    MOST_CHANNELS = 1024

    sums: FusedConvolution
    beta: float

    @classmethod
    def of(cls, channels: int, size: int, alpha: float, beta: float, k: float) -> Normalization:
        """x / (k + alpha / size * the sum of squares over ``size`` channels) ** beta."""
        number = torch.arange(channels)
        near = (number[:, None] - number).abs() <= size // 2
        band = near.float().mul_(alpha / size)[:, :, None, None]
        shift = torch.full((channels,), k)
        return cls(FusedConvolution(band, shift, (1, 1), (0, 0), (1, 1), 1), beta)

    def pack(self, size: Shape, device: torch.device) -> None:
        """Make ready for bottoms of ``size`` there."""
        self.sums.weight, self.sums.bias = self.sums.weight.to(device), self.sums.bias.to(device)
        self.sums.pack(size)

    def __call__(self, bottoms: Sequence[Tensor]) -> Sequence[Tensor]:
        """(N, C, H, W) to the same."""
        (x,) = bottoms
        (scale,) = self.sums([x * x])
        return (scale.pow_(-self.beta).mul_(x),)


def _has_onednn(weight: Tensor) -> bool:
    has: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if has and weight.dtype == torch.bfloat16:
        has = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.is_cpu and has


@dataclass
class Node:
    """One thing to compute: values by number, so that every value is made once."""

    run: Run
    bottoms: list[int]
    tops: list[int]
    shapes: list[Shape]
    step: Step
    drops: list[int] = field(default_factory=list)
    """Values that nobody needs after this node."""


class OptimizedNet(nn.Module):
    """The outputs of a net, for inference without gradients; its weights are copies.

    difference
        the largest deviation from the exact net on a fixed input of normal numbers, as a part of
        the output's largest element. It was measured when this net was made.
    """

    difference: float

    def __init__(
        self,
        steps: Sequence[Step],
        modules: Sequence[nn.Module | None],
        outputs: Sequence[str],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.inputs: dict[str, int] = {}
        nodes = _nodes(steps, modules, self.inputs)
        names = {name: value for name, value in nodes[1].items() if name in outputs}
        self.outputs = {name: names[name] for name in outputs}
        self.nodes = _drop_unread(_fuse(nodes[0], set(self.outputs.values())))
        _plan_memory(self.nodes, set(self.outputs.values()))
        for node in self.nodes:
            if isinstance(node.run, (FusedConvolution, FusedProduct)):
                node.run.dtype = dtype
                node.run.pack(node.step.bottom_shapes[0])
            elif isinstance(node.run, Normalization):
                node.run.pack(node.step.bottom_shapes[0], _device(modules))

    def forward(self, *args: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """As the exact net's."""
        if args:
            inputs = dict(zip(self.inputs, args, strict=True))
        values: dict[int, Tensor] = {}
        with torch.no_grad():
            for name, value in self.inputs.items():
                x = inputs[name]
                values[value] = (
                    x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
                )
            for node in self.nodes:
                tops = node.run([values[bottom] for bottom in node.bottoms])
                values.update(zip(node.tops, tops, strict=True))
                for value in node.drops:
                    del values[value]
        return {name: values[value].contiguous() for name, value in self.outputs.items()}


def _device(modules: Sequence[nn.Module | None]) -> torch.device:
    """Where the net's parameters are."""
    parameters = (p for module in modules if module is not None for p in module.parameters())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _nodes(
    steps: Sequence[Step], modules: Sequence[nn.Module | None], inputs: dict[str, int]
) -> tuple[list[Node], dict[str, int]]:
    """Each step as a node, identities left out; and the number of each blob's last value."""
    nodes: list[Node] = []
    newest: dict[str, int] = {}
    count = 0
    for step, module in zip(steps, modules, strict=True):
        bottoms = [newest[name] for name in step.bottoms]
        if isinstance(step.plan.call, Bottom) or step.kind.name == "Split":
            newest |= dict.fromkeys(step.tops, bottoms[0])
            continue
        tops = list(range(count, count + len(step.tops)))
        count += len(tops)
        newest |= zip(step.tops, tops, strict=True)
        if step.kind.name == "Input":
            inputs |= zip(step.tops, tops, strict=True)
        else:
            run = _runner(step, module)
            nodes.append(Node(run, bottoms, tops, step.top_shapes, step))
    return nodes, newest


def _runner(step: Step, module: nn.Module | None) -> Run:
    kind = step.kind.name
    if kind == "Convolution" and isinstance(module, nn.Conv2d):
        weight = module.weight.detach().clone()
        bias = None if module.bias is None else module.bias.detach().clone()
        pad: Any = module.padding
        return FusedConvolution(
            weight,
            weight.new_zeros(weight.shape[0]) if bias is None else bias,
            module.stride,
            pad,
            module.dilation,
            module.groups,
        )
    if kind == "InnerProduct" and module is not None:
        weight, *others = (_detached(module, blob.attribute) for blob in step.plan.blobs)
        p = step.param.inner_product_param
        return FusedProduct(
            weight.t() if p.transpose else weight,
            others[0] if others else None,
            p.axis % len(step.bottom_shapes[0]),
        )
    if kind == "LRN" and (normalization := _normalization(step)) is not None:
        return normalization
    affine = _affine(step, module)
    if affine is not None:
        return affine
    return lambda bottoms: apply(step.function, module, bottoms)


def _normalization(step: Step) -> Normalization | None:
    """An LRN over few channels."""
    p, shape = step.param.lrn_param, step.bottom_shapes[0]
    across = p.norm_region == "ACROSS_CHANNELS"
    if not across or len(shape) != 4 or shape[1] > Normalization.MOST_CHANNELS:
        return None
    return Normalization.of(shape[1], p.local_size, p.alpha, p.beta, p.k)


def _affine(step: Step, module: nn.Module | None) -> Affine | None:
    """The channel-wise affine map that a BatchNorm, Scale or Bias is, if it is one."""
    if len(step.bottoms) != 1 or len(step.bottom_shapes[0]) < 2 or module is None:
        return None
    blobs = [_detached(module, blob.attribute) for blob in step.plan.blobs]
    kind, channels = step.kind.name, (step.bottom_shapes[0][1],)
    if (
        kind == "BatchNorm"
        and step.plan.plain_state is not None
        and getattr(module, "use_global_stats", False)
    ):
        state = step.plan.plain_state(blobs)
        eps = step.param.batch_norm_param.eps
        scale = torch.rsqrt(state["running_var"].double() + eps)
        shift = -state["running_mean"].double() * scale
        return Affine(scale.float(), shift.float())
    axis = getattr(module, "axis", None)
    if kind == "Scale" and axis == 1 and blobs[0].shape == channels:
        shift = blobs[1] if len(blobs) > 1 else torch.zeros_like(blobs[0])
        return Affine(blobs[0], shift)
    return None


def _detached(module: nn.Module, attribute: str) -> Tensor:
    value: Tensor = (
        module.get_parameter(attribute)
        if attribute in dict(module.named_parameters())
        else module.get_buffer(attribute)
    )
    return value.detach().clone()


def _fuse(nodes: list[Node], kept: set[int]) -> list[Node]:
    """Merge each node into the one before it where one primitive computes both."""
    readers = Counter(value for node in nodes for value in node.bottoms)
    readers.update(kept)
    producer = {value: node for node in nodes for value in node.tops}
    order = {id(node): index for index, node in enumerate(nodes)}
    for node in nodes:
        for position, value in enumerate(node.bottoms):
            before = producer.get(value)
            if before is None or readers[value] != 1:
                continue
            if _merge(before, node, position, order):
                for top in node.tops:
                    producer[top] = before
                before.tops, before.shapes = node.tops, node.shapes
                order[id(before)] = order[id(node)]
                node.tops = []
                break
    merged = [node for node in nodes if node.tops]
    return sorted(merged, key=lambda node: order[id(node)])


def _merge(before: Node, node: Node, position: int, order: Mapping[int, int]) -> bool:
    """Let ``before`` compute ``node`` as well, if it can."""
    first, then = before.run, node.run
    if isinstance(then, Affine) and isinstance(first, Affine):
        first.scale, first.shift = (
            first.scale * then.scale,
            first.shift * then.scale + then.shift,
        )
        return True
    if not isinstance(first, (FusedConvolution, FusedProduct)) or first.relu:
        return False
    if node.step.kind.name == "ReLU" and not node.step.param.relu_param.negative_slope:
        first.relu = True
        return True
    if isinstance(first, FusedProduct):
        return False
    if isinstance(then, Affine) and not first.adds:
        first.fold(then)
        return True
    if _is_plain_sum(node.step) and not first.adds and node.bottoms[0] != node.bottoms[1]:
        first.adds = True
        before.bottoms = [*before.bottoms, node.bottoms[1 - position]]
        return True
    return False


def _is_plain_sum(step: Step) -> bool:
    return step.plan.call == Call("operator.add", Bottom(0), Bottom(1)) and (
        step.bottom_shapes[0] == step.bottom_shapes[1] and len(step.bottom_shapes[0]) == 4
    )


def _drop_unread(nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node.tops]


def _plan_memory(nodes: Sequence[Node], kept: set[int]) -> None:
    """Note after which node each value can go."""
    seen = set(kept)
    for node in reversed(nodes):
        for value in (*node.bottoms, *node.tops):
            if value not in seen:
                seen.add(value)
                node.drops.append(value)
