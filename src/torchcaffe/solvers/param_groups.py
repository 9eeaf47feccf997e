"""A net's parameters as an optimizer takes them, with their multipliers."""

from __future__ import annotations

from typing import Any

from torchcaffe.net import CaffeNet


def param_groups(net: CaffeNet) -> list[dict[str, Any]]:
    """One group for each parameter blob that a solver updates, in Caffe's order.

    A group has ``params``, ``lr_mult``, ``decay_mult`` and ``name``, such as "conv1/0". Blobs that
    layers share occur once. BatchNorm's statistics are among them, at a rate of 0, as in Caffe,
    where they have a history as well.
    """
    return [
        {
            "params": [entry.value],
            "lr_mult": entry.lr_mult,
            "decay_mult": entry.decay_mult,
            "name": f"{entry.layer}/{entry.index}",
        }
        for entry in net.learnable
    ]
