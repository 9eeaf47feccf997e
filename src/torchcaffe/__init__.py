"""Caffe networks in PyTorch, exact to the last bit that floating point allows."""

from torchcaffe import optim
from torchcaffe.diagnosis import diagnose
from torchcaffe.errors import CaffeError
from torchcaffe.load import load
from torchcaffe.net import CaffeNet
from torchcaffe.register import register_layer
from torchcaffe.solvers.solver import Solver
from torchcaffe.weights import save_weights

__version__ = "0.1.0"

__all__ = [
    "CaffeError",
    "CaffeNet",
    "Solver",
    "__version__",
    "diagnose",
    "load",
    "optim",
    "register_layer",
    "save_weights",
]
