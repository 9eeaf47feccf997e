"""BatchNorm: each channel shifted and scaled to mean 0 and variance 1."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import accumulated
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer


class BatchNorm(nn.Module):
    """Normalise the channels (axis 1) by stored or by the batch's own statistics.

    The stored ones are sums: a batch adds its mean and variance to what is left of the older ones,
    and 1 to ``factor``, by which both are divided when they are used.
    """

    def __init__(
        self,
        channels: int,
        use_global_stats: bool = True,
        moving_average_fraction: float = 0.999,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.empty(channels))
        self.register_buffer("variance", torch.empty(channels))
        self.register_buffer("factor", torch.empty(1))
        self.use_global_stats = use_global_stats
        self.moving_average_fraction, self.eps = moving_average_fraction, eps

    mean: Tensor
    variance: Tensor
    factor: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to the same shape; with the batch's statistics, the stored ones change."""
        if self.use_global_stats:
            # A factor of 0 means untrained: mean and variance then count as 0.
            scale = torch.where(self.factor == 0, self.factor, 1 / self.factor)
            return functional.batch_norm(x, self.mean * scale, self.variance * scale, eps=self.eps)
        mean, variance = torch.zeros_like(self.mean), torch.zeros_like(self.variance)
        if x.numel() == mean.numel():
            # One value a channel, which torch refuses: its mean is itself, its variance 0.
            y, mean = x - x, x.detach().flatten()
        else:
            # With momentum 1, these become the batch's mean and unbiased variance. torch refuses
            # an eps of 0 here.
            eps = self.eps or 1e-300
            y = functional.batch_norm(x, mean, variance, training=True, momentum=1.0, eps=eps)
        with torch.no_grad():
            self.mean.mul_(self.moving_average_fraction).add_(mean)
            self.variance.mul_(self.moving_average_fraction).add_(variance)
            self.factor.mul_(self.moving_average_fraction).add_(1)
        return y


@caffe_layer("BatchNorm", bottoms=1, tops=1, exactness=accumulated(), in_place="ok")
def batch_norm(layer: Setup) -> Plan:
    """y = (x - mean) / sqrt(variance + eps) for each channel, without a scale and shift of its own.

    bottom  x  (N, C, ...)  at least 2 axes
    top     y  as x
    blobs   mean (C);  variance (C);  factor (1): sums over the batches seen, divided by factor in
            use. They take no gradient
    torch   nn.BatchNorm2d(C, affine=False) with running_mean = mean / factor and running_var =
            variance / factor. Trained further it differs: it starts from variance 1, and its
            average gives the newest batch a fixed weight, Caffe's 1 / factor
    Caffe   src/caffe/layers/batch_norm_layer.cpp; the statistics are the batch's in phase TRAIN and
            the stored ones in TEST, unless use_global_stats says otherwise
    """
    p = layer.param.batch_norm_param
    shape = layer.bottoms[0]
    layer.require(
        len(shape) >= 2, f"takes a bottom with a channel axis, (N, C, ...), got shape {shape}"
    )
    layer.require(prod(shape) > 0, f"its bottom is empty, its shape is {shape}")
    for index, spec in enumerate(layer.param.param):
        layer.require(
            spec.lr_mult == 0,
            f"its blobs are statistics, which no solver updates; param {index} has lr_mult "
            f"{spec.lr_mult:g}, give lr_mult: 0 or leave the param entries out",
        )
    stored = p.use_global_stats if p.has("use_global_stats") else layer.phase == "TEST"
    options: dict[str, object] = {}
    if p.eps != np.float32(1e-5):
        options["eps"] = p.eps
    plain = None
    if stored and layer.phase == "TEST" and len(shape) <= 5:
        kind = f"torch.nn.BatchNorm{max(len(shape) - 2, 1)}d"
        plain = Call(kind, shape[1], affine=False, **options)
    if not stored:
        options["use_global_stats"] = False
        options["moving_average_fraction"] = p.moving_average_fraction
    call = Call("torchcaffe.layers.batch_norm.BatchNorm", shape[1], **options)
    blobs = (Blob("mean"), Blob("variance"), Blob("factor"))
    return Plan(call, blobs, plain=plain, plain_state=running_statistics)


def running_statistics(blobs: Sequence[Tensor]) -> dict[str, Tensor]:
    """The buffers of torch's BatchNorm for Caffe's three blobs."""
    mean, variance, factor = blobs
    scale = torch.where(factor == 0, factor, 1 / factor)
    return {
        "running_mean": mean * scale,
        "running_var": variance * scale,
        "num_batches_tracked": torch.tensor(0),
    }
