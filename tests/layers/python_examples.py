"""Layers of a person's own, as prototxts of the tests name them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from torchcaffe.layers import python as caffe


class Times(caffe.Layer):
    """y = k x for each bottom; k is the param_str, or 10."""

    def setup(self, bottom: Sequence, top: Sequence) -> None:
        self.factor = float(self.param_str or 10)

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        for below, above in zip(bottom, top, strict=True):
            above.reshape(*below.data.shape)

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        for below, above in zip(bottom, top, strict=True):
            above.data[...] = self.factor * below.data

    def backward(self, top: Sequence, propagate_down: Sequence, bottom: Sequence) -> None:
        for below, above, down in zip(bottom, top, propagate_down, strict=True):
            if down:
                below.diff[...] = self.factor * above.diff


class EuclideanLoss(caffe.Layer):
    """Half the mean squared distance; remembers the difference from its forward pass."""

    def setup(self, bottom: Sequence, top: Sequence) -> None:
        if len(bottom) != 2:
            raise Exception("two bottoms are needed")

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        if bottom[0].count != bottom[1].count:
            raise Exception("bottoms of one size are needed")
        self.diff = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.0

    def backward(self, top: Sequence, propagate_down: Sequence, bottom: Sequence) -> None:
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = top[0].diff[0] * sign * self.diff / bottom[i].num


class Shift(caffe.Layer):
    """y = x + b with a parameter b, which setup makes 1, 2, ..., one a channel."""

    def setup(self, bottom: Sequence, top: Sequence) -> None:
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = np.arange(1, bottom[0].channels + 1)

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        top[0].data[...] = bottom[0].data + self.blobs[0].data[:, None]

    def backward(self, top: Sequence, propagate_down: Sequence, bottom: Sequence) -> None:
        self.blobs[0].diff[...] += top[0].diff.sum((0, 2))
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff


class Numbers(caffe.Layer):
    """Counts its passes; no bottoms, two tops."""

    def setup(self, bottom: Sequence, top: Sequence) -> None:
        self.count = 0
        top[0].reshape()
        top[1].reshape(2, 3)

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        pass

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        self.count += 1
        top[0].data[()] = self.phase
        top[1].data[...] = self.count


class Nonzero(caffe.Layer):
    """The bottom's numbers other than zero: the top's size is known after forward only."""

    def setup(self, bottom: Sequence, top: Sequence) -> None:
        top[0].reshape(1)

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        pass

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        found = bottom[0].data[bottom[0].data != 0]
        top[0].reshape(len(found))
        top[0].data[...] = found


class Clear(caffe.Layer):
    """Works in place: numbers below the param_str become 0, and so does their gradient."""

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        assert top[0] is bottom[0]

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        self.low = bottom[0].data < float(self.param_str_)
        bottom[0].data[self.low] = 0

    def backward(self, top: Sequence, propagate_down: Sequence, bottom: Sequence) -> None:
        bottom[0].diff[self.low] = 0


class Swallow(caffe.Layer):
    """One bottom, no tops."""

    seen = 0

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        pass

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        type(self).seen += 1


class Fails(caffe.Layer):
    """Fails in the method that its param_str names."""

    def fail_in(self, method: str) -> None:
        if self.param_str == method:
            raise RuntimeError(f"no {method} today")

    def setup(self, bottom: Sequence, top: Sequence) -> None:
        self.fail_in("setup")

    def reshape(self, bottom: Sequence, top: Sequence) -> None:
        self.fail_in("reshape")
        if self.param_str != "no shape":
            top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Sequence, top: Sequence) -> None:
        self.fail_in("forward")
        if self.param_str == "write":
            bottom[0].data[...] = 0
        if self.param_str == "add":
            self.blobs.add_blob(1)

    def backward(self, top: Sequence, propagate_down: Sequence, bottom: Sequence) -> None:
        self.fail_in("backward")


class Bare(caffe.Layer):
    """Has nothing of its own."""


class Doubled(nn.Module):
    """An nn.Module without param_str."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


class Affine(nn.Module):
    """Two tops, a parameter, a buffer and dropout; param_str gives the slope."""

    def __init__(self, param_str: str) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([float(param_str)]))
        self.register_buffer("shift", torch.arange(3.0))
        self.dropout = nn.Dropout()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[-1] != 3:
            raise RuntimeError("rows of 3 are needed")
        return self.slope * x + self.shift, self.dropout(x)


class Talks(nn.Module):
    """Gives no tensor."""

    def forward(self, x: Tensor) -> str:
        return "hello"


def function(x: Tensor) -> Tensor:
    return x
