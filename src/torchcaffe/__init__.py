"""Caffe networks in PyTorch, exact to the last bit that floating point allows."""

from torchcaffe.load import load
from torchcaffe.net import CaffeNet

__version__ = "0.1.0"

__all__ = ["CaffeNet", "__version__", "load"]
