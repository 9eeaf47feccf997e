"""Weights: reading them from files, copying them into a net by layer name, writing them."""

from torchcaffe.weights.copying import copy_weights
from torchcaffe.weights.files import read_weights, save_weights
from torchcaffe.weights.model import SourceLayer, Weights

__all__ = ["SourceLayer", "Weights", "copy_weights", "read_weights", "save_weights"]
