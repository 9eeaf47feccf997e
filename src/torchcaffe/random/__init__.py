"""Caffe's random numbers, bit for bit: the stream, Boost's distributions on it, libc's rand().

Knows nothing of torch.
"""

from torchcaffe.random.boost import bernoulli, dropout_mask, integer, shuffle, uniform
from torchcaffe.random.libc import LibcRand, random_shuffle
from torchcaffe.random.mersenne import Mersenne
from torchcaffe.random.normal import BoostVersion, gaussian

__all__ = [
    "BoostVersion",
    "LibcRand",
    "Mersenne",
    "bernoulli",
    "dropout_mask",
    "gaussian",
    "integer",
    "random_shuffle",
    "shuffle",
    "uniform",
]
