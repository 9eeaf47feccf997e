"""Keeping torch.compile out of what it cannot trace, without loading it."""

from __future__ import annotations

import torch
from torch import nn


def leave_uncompiled(kind: type[nn.Module], method: str = "forward") -> None:
    """Keep torch.compile out of a method of ``kind``; to be called when one is constructed.

    As a decorator, torch.compiler.disable would load the whole compiler with the layer's file.
    """
    if not hasattr(getattr(kind, method), "_torchdynamo_disable"):
        setattr(kind, method, torch.compiler.disable(getattr(kind, method)))
