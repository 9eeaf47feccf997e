"""Gradients of layers whose top a later layer changes in place.

Caffe's TanH, Sigmoid and others compute their gradient from their top as it lies in memory when the
backward pass comes by. In a chain such as IP, Sigmoid, Dropout, all in place, what lies there is
Dropout's output. The derivative it gives is not calculus, but it is what Caffe trains with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchcaffe.build import Step, apply


@dataclass
class _Saved:
    """A tensor kept for the backward pass, or the name of the blob that lies in its place."""

    tensor: Tensor
    blob: str = ""


def apply_overwritten(
    step: Step, module: nn.Module | None, bottoms: Sequence[Tensor], blobs: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """The step's tops, as ``apply`` gives them.

    What autograd keeps of a top (in place: of its bottom too) is read from ``blobs`` when the
    backward pass comes, by which time they hold the last value of the chain.
    """
    kept: list[_Saved] = []

    def pack(tensor: Tensor) -> _Saved:
        kept.append(_Saved(tensor))
        return kept[-1]

    def unpack(saved: _Saved) -> Tensor:
        return blobs[saved.blob].detach() if saved.blob else saved.tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        tops = apply(step.function, module, bottoms)
    places = {top.data_ptr(): name for name, top in zip(step.tops, tops, strict=True)}
    for name, bottom in zip(step.bottoms, bottoms, strict=True):
        if name in step.tops:
            places[bottom.data_ptr()] = name
    for saved in kept:
        saved.blob = places.get(saved.tensor.data_ptr(), "")
    return tops
