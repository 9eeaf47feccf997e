"""Sums in the order in which a Caffe with OpenBLAS adds, so that they are rounded alike too.

A sum of float32 numbers depends on its order, and torch and OpenBLAS have orders of their own.
Where a training run hangs on the last bit (a difference of nearly 0 whose sign is the gradient),
only the same order gives the same run. ``imitate`` brings a solver to it.

The order is that of OpenBLAS 0.3.21 with its Haswell kernels on two cores, as Debian 12 has it.
Kernels are taken from the OpenBLAS that comes with numpy; what differs, how a product is cut into
pieces, is done here.
"""

from torchcaffe.openblas.imitate import imitate
from torchcaffe.openblas.library import is_available

__all__ = ["imitate", "is_available"]
