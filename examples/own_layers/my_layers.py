"""Layers that forks of Caffe have: SENet's Axpy, SSD's Permute and Normalize."""

import torch
from torch import Tensor, nn

from torchcaffe.register import bitwise, boolean, float32, message, register_layer, repeated


@register_layer("Axpy", bottoms=3)
class Axpy(nn.Module):
    """y = a * x + b, one number a for each channel."""

    def forward(self, a: Tensor, x: Tensor, b: Tensor) -> Tensor:
        return a.reshape(*a.shape[:2], 1, 1) * x + b


@register_layer(
    "Permute",
    param="permute_param",
    number=202,
    fields={"order": repeated(1, "uint32")},
    exactness=bitwise(),
    gradient=bitwise(),
)
class Permute(nn.Module):
    """y = x with its axes in another order; those that are not listed follow."""

    def __init__(self, bottom_shapes: tuple[tuple[int, ...], ...], order: tuple[int, ...]) -> None:
        super().__init__()
        axes = range(len(bottom_shapes[0]))
        if len(set(order)) < len(order) or not set(order) <= set(axes):
            raise ValueError(f"order takes each of the axes {[*axes]} once at most, got {[*order]}")
        self.order = (*order, *[axis for axis in axes if axis not in order])

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order).contiguous()


@register_layer(
    "Normalize",
    param="norm_param",
    number=206,
    fields={
        "across_spatial": boolean(1, default=True),
        "scale_filler": message(2, "FillerParameter"),
        "channel_shared": boolean(3, default=True),
        "eps": float32(4, default=1e-10),
    },
    blobs={"scale": "scale_filler"},
)
class Normalize(nn.Module):
    """y = scale * x / sqrt(eps + sum(x * x)), summed over the channels or all of an image."""

    def __init__(
        self,
        bottom_shapes: tuple[tuple[int, ...], ...],
        across_spatial: bool,
        channel_shared: bool,
        eps: float,
    ) -> None:
        super().__init__()
        shape = () if channel_shared else (bottom_shapes[0][1],)
        self.scale = nn.Parameter(torch.ones(shape))
        self.axes = (1, 2, 3) if across_spatial else (1,)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        norm = (self.eps + x.square().sum(self.axes, keepdim=True)).sqrt()
        return self.scale.reshape(-1, 1, 1) * (x / norm)
