"""What loss layers share: labels that are checked, and what a loss is divided by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchcaffe.layers._registry import Setup, Shape, shape_text


def class_labels(
    label: Tensor, classes: int, ignore: int | None = None
) -> tuple[Tensor, Tensor | None]:
    """Labels as indices (0 where ignored), and which of them count (None: all).

    Labels are floats that lose their fraction. Caffe reads other memory for a label that is no
    class; here that is an IndexError, under torch.compile torch's own.
    """
    index, counts = label.long(), None
    if ignore is not None:
        counts = index != ignore
        index = index * counts
    if index.numel() and not index.is_meta and not torch.compiler.is_compiling():
        low, high = torch.aminmax(index)
        if low < 0 or high >= classes:
            wrong = label[(index < 0) | (index >= classes)][0].item()
            raise IndexError(
                f"label {wrong:.9g} is not one of its {classes} classes, 0 to {classes - 1}; "
                f"labels that do not count are given by ignore_label"
            )
    return index, counts


def loss_divisor(mode: str, counts: Tensor | None, total: int, batch: int) -> Tensor | int:
    """What a loss is divided by: the positions that count, all of them, the batch, or nothing."""
    if mode == "VALID" and counts is not None:
        return counts.sum().clamp(min=1)
    return max(1, {"NONE": 1, "BATCH_SIZE": batch}.get(mode, total))


def normalization(layer: Setup, default: str = "VALID") -> tuple[int | None, str]:
    """ignore_label, and the mode of normalization; the older ``normalize`` counts if alone."""
    p = layer.param.loss_param
    ignore = p.ignore_label if p.has("ignore_label") else None
    if p.has("normalization"):
        mode = p.normalization
    elif p.has("normalize"):
        mode = "VALID" if p.normalize else "BATCH_SIZE"
    else:
        mode = default
    return ignore, "FULL" if mode == "VALID" and ignore is None else mode


def loss_options(axis: int | None, ignore: int | None, mode: str, usual: str) -> dict[str, Any]:
    """The arguments of a loss function that differ from its own defaults."""
    options: dict[str, Any] = {}
    if axis not in (None, 1):
        options["axis"] = axis
    if ignore is not None:
        options["ignore"] = ignore
    if mode != usual:
        options["mode"] = mode
    return options


def check_batch(layer: Setup) -> None:
    """The first two bottoms of a loss have the same first size."""
    first, second = layer.bottoms[:2]
    layer.require(
        bool(first and second) and first[0] == second[0],
        f"its bottoms must have the same first dimension, got {shape_text(first)} and "
        f"{shape_text(second)}",
    )


def check_labels(layer: Setup, axis: int) -> None:
    """One label for each position: for scores (N, C, H, W) and axis 1, N*H*W of them."""
    scores, labels = layer.bottoms[:2]
    wanted: Shape = scores[:axis] + scores[axis + 1 :]
    count = torch.Size(labels).numel()
    layer.require(
        count == torch.Size(wanted).numel(),
        f"wants one label for each position: scores of {shape_text(scores)} with axis {axis} take "
        f"labels of {shape_text(wanted)}, got {shape_text(labels)}",
    )
