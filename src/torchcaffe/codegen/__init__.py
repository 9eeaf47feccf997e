"""A net as PyTorch source that a person can read, keep and change, without torchcaffe."""

from torchcaffe.codegen.module import Printed, print_net

__all__ = ["Printed", "print_net"]
