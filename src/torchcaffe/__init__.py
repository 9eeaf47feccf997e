"""Caffe networks in PyTorch, exact to the last bit that floating point allows."""

__version__ = "0.1.0"
