"""A solver whose layers and updates compute in OpenBLAS's order.

Caffe: ``src/caffe/layers`` (conv_layer, inner_product_layer, lrn_layer, reduction_layer .cpp),
``src/caffe/solvers/sgd_solver.cpp``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.build import Step
from torchcaffe.errors import InputError
from torchcaffe.layers._exactness import bitwise
from torchcaffe.openblas.library import Array, kernels
from torchcaffe.openblas.order import asum, axpy, axpy_rows, gemm, sum_rows
from torchcaffe.solvers.sgd import SGD
from torchcaffe.solvers.solver import Solver

Bottoms = Sequence[Tensor]
ROUNDED_SAFELY = 0.47
"""Of a unit in the last place: libm's powf rounds what is nearer than this as exact powers are."""


def imitate(solver: Solver) -> None:
    """Let ``solver`` compute on the CPU as a Caffe with OpenBLAS, to the bit.

    Imitated are Convolution forward, InnerProduct, LRN across channels forward, Reduction's ASUM
    and SGD; layers that are declared bitwise are so in any order. Raises InputError for a net or
    solver with others, and on machines without the kernels.
    """
    kernels()
    if solver.like.dtype != torch.float32 or solver.device.type != "cpu" or solver.ranks.size > 1:
        raise InputError("OpenBLAS is imitated on the CPU, in float32 and in one process only")
    param = solver.param
    plain = param.type == "SGD" and param.regularization_type == "L2"
    if not plain or param.clip_gradients >= 0 or param.iter_size > 1 or param.snapshot_diff:
        raise InputError(
            "of the solvers only SGD is imitated, with L2 and without clipping, iter_size or "
            "snapshot_diff"
        )
    for step, module in zip(solver.net.steps, solver.net._step_modules(), strict=True):
        _imitate_layer(step, module)
    old = solver.optimizer
    solver.optimizer = _InOrder(
        old.param_groups, lr=param.base_lr, weight_decay=param.weight_decay, momentum=param.momentum
    )
    for value, history in zip([e.value for e in solver.learnable], solver.history, strict=True):
        solver.optimizer.state[value]["history"] = history


def _imitate_layer(step: Step, module: nn.Module | None) -> None:
    maker = MAKERS.get(step.kind.name)
    rounds = step.exactness > bitwise() or (any(step.needs.bottoms) and step.gradient > bitwise())
    if maker is not None:
        step.function = maker(step, module)
    elif rounds:
        raise InputError(
            f'layer "{step.name}": {step.kind.name} is not among what is imitated of OpenBLAS'
        )


def _convolution(step: Step, module: nn.Module | None) -> Callable[[Bottoms], Tensor]:
    if not isinstance(module, nn.Conv2d) or module.weight.requires_grad or any(step.needs.bottoms):
        raise InputError(
            f'layer "{step.name}": of Convolution only the forward pass is imitated, in two '
            f"dimensions and with a rate of 0"
        )
    return partial(_convolve, module)


def _convolve(layer: nn.Conv2d, bottoms: Bottoms) -> Tensor:
    """One product for each image and group, and then the bias."""
    (x,) = bottoms
    weight = _numbers(layer.weight.flatten(1))
    pads = tuple(int(pad) for pad in layer.padding)
    groups, outputs = layer.groups, weight.shape[0] // layer.groups
    size = [
        (n + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for n, pad, dilation, kernel, stride in zip(
            x.shape[2:], pads, layer.dilation, layer.kernel_size, layer.stride, strict=True
        )
    ]
    result = np.empty((x.shape[0], weight.shape[0], size[0] * size[1]), np.float32)
    for number, image in enumerate(x.detach()):
        columns = functional.unfold(
            image[None], layer.kernel_size, layer.dilation, pads, layer.stride
        )[0]
        parts = _numbers(columns).reshape(groups, -1, columns.shape[1])
        for group in range(groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            result[number, rows] = gemm(weight[rows], parts[group])
    if layer.bias is not None:
        result += _numbers(layer.bias)[:, None]
    return torch.from_numpy(result.reshape(*result.shape[:2], *size))


def _inner_product(step: Step, module: nn.Module | None) -> Callable[[Bottoms], Tensor]:
    p = step.param.inner_product_param
    if module is None or p.axis != 1 or p.transpose or not p.bias_term:
        raise InputError(
            f'layer "{step.name}": of InnerProduct that with axis 1 and a bias is imitated, '
            f"not transposed"
        )
    weights = (module.weight, module.bias)
    return lambda bottoms: _apply(_Linear, bottoms[0].flatten(1), *weights)


class _Linear(torch.autograd.Function):
    """x @ w.T + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = gemm(_numbers(x), _numbers(weight), turn_b=True)
        return torch.from_numpy(y + _numbers(bias))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = _numbers(grads[0])
        to_weight = torch.from_numpy(gemm(grad, _numbers(x), turn_a=True))
        to_bias = torch.from_numpy(sum_rows(grad))
        to_x = gemm(grad, _numbers(weight)) if ctx.needs_input_grad[0] else None
        return None if to_x is None else torch.from_numpy(to_x), to_weight, to_bias


def _lrn(step: Step, module: nn.Module | None) -> Callable[[Bottoms], Tensor]:
    del module
    p = step.param.lrn_param
    if p.norm_region != "ACROSS_CHANNELS" or any(step.needs.bottoms):
        raise InputError(
            f'layer "{step.name}": of LRN only the forward pass across channels is imitated'
        )
    alpha = float(np.float32(p.alpha) / np.float32(p.local_size))
    return lambda bottoms: _normalize(bottoms[0], p.local_size, alpha, p.beta, p.k)


def _normalize(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """x * s ** -beta, where s runs along the channels: one enters, one leaves."""
    images, channels = x.shape[:2]
    values = _numbers(x).reshape(images, channels, -1).transpose(1, 0, 2)
    squares = np.zeros((channels + size - 1, images, values.shape[2]), np.float32)
    squares[size // 2 : size // 2 + channels] = values * values
    scale = np.full_like(values, k, order="C")
    for head in squares[:size]:
        axpy_rows(alpha, head, scale[0])
    for channel in range(1, channels):
        scale[channel] = scale[channel - 1]
        axpy_rows(alpha, squares[channel + size - 1], scale[channel])
        axpy_rows(-alpha, squares[channel - 1], scale[channel])
    result = (_power(scale, -beta) * values).transpose(1, 0, 2)
    return torch.from_numpy(np.ascontiguousarray(result)).view(x.shape)


def _power(base: Array, exponent: float) -> Array:
    """libm's powf: the exact power rounded, and libm asked where that is nearly a tie."""
    exact = base.astype(np.float64) ** np.float64(np.float32(exponent))
    result = exact.astype(np.float32)
    off = np.abs(exact - result) / np.spacing(result).astype(np.float64)
    places = np.nonzero(off > ROUNDED_SAFELY)
    power = np.float32(exponent)
    result[places] = [value**power for value in base[places]]
    return result


def _reduction(step: Step, module: nn.Module | None) -> Callable[[Bottoms], Tensor]:
    del module
    p = step.param.reduction_param
    if p.operation != "ASUM" or p.axis or p.coeff != 1:
        raise InputError(f'layer "{step.name}": of Reduction the ASUM of everything is imitated')
    return lambda bottoms: _apply(_Magnitudes, bottoms[0])


class _Magnitudes(torch.autograd.Function):
    """The sum of magnitudes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.tensor(asum(_numbers(x).reshape(-1)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.sign(x) * grads[0]


MAKERS: dict[str, Callable[[Step, nn.Module | None], Callable[[Bottoms], Tensor]]] = {
    "Convolution": _convolution,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Reduction": _reduction,
}


class _InOrder(SGD):
    """SGD whose additions are OpenBLAS's."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        del closure
        for settings, params in self._buckets():
            for param in params:
                if param.grad is not None:
                    self._update_one(param, param.grad, settings)
        return None

    def _update_one(self, param: Tensor, grad: Tensor, settings: dict[str, Any]) -> None:
        weight, history = _numbers(param).reshape(-1), _numbers(self.state[param]["history"])
        history = history.reshape(-1)
        slope = _numbers(grad).reshape(-1).copy()
        if settings["decay"]:
            axpy(settings["decay"], weight, slope)
        history *= np.float32(settings["momentum"])
        axpy(settings["rate"], slope, history)
        axpy(-1.0, history, weight)


def _apply(function: type[torch.autograd.Function], *values: Any) -> Tensor:
    result: Tensor = function.apply(*values)  # type: ignore[no-untyped-call]
    return result


def _numbers(tensor: Tensor) -> Array:
    """The tensor's memory as an array, or a copy in order where it has none."""
    return np.asarray(tensor.detach().contiguous().numpy())
