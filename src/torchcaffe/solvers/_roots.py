"""Square roots, rounded as IEEE 754 wants them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

EXACT = (torch.float32, torch.float64)


def roots(values: Sequence[Tensor]) -> list[Tensor]:
    """The square root of each tensor, in new memory.

    On the CPU numpy takes them: torch leaves float32 roots to MKL, whose last bit is wrong in one
    number of six. Caffe takes ``powf(x, 0.5)``, which is the exact root but for one in 2000.
    """
    if all(value.device.type == "cpu" and value.dtype in EXACT for value in values):
        return [torch.as_tensor(np.sqrt(value.numpy())) for value in values]
    return list(torch._foreach_sqrt(list(values)))
