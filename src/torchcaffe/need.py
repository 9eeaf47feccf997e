"""Which backward passes Caffe runs.

Caffe: ``src/caffe/net.cpp`` (Net::Init). A forward sweep asks what can learn, a backward sweep what
leads to a loss; ``force_backward`` overrules both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Needs:
    """What one layer computes in the backward pass."""

    layer: bool
    bottoms: list[bool]
    params: list[bool]
    cut: bool = False
    """The layer learns and leads to a loss, and still Caffe runs no backward pass: every top is
    read only by layers that do not pass a gradient on."""
    lost: bool = False
    """The gradient of the top does not reach the bottom, and stays 0 there."""


@dataclass(frozen=True)
class Edge:
    """What the sweeps know of a layer."""

    bottoms: Sequence[str]
    tops: Sequence[str]
    rates: Sequence[float]
    """lr_mult of each parameter blob."""
    loss_weights: Sequence[float]
    propagate_down: Sequence[bool]
    forceable: Sequence[bool]
    """Whether force_backward may make a bottom's gradient be computed."""


def backward_needs(layers: Sequence[Edge], force_backward: bool) -> list[Needs]:
    """One ``Needs`` a layer, in the layers' order."""
    needs = _forward_sweep(layers)
    _reverse_sweep(layers, needs)
    if force_backward:
        for layer, need in zip(layers, needs, strict=True):
            need.layer, need.cut = True, False
            need.bottoms = [
                bottom or may for bottom, may in zip(need.bottoms, layer.forceable, strict=True)
            ]
            need.params = [True] * len(need.params)
    return needs


def _forward_sweep(layers: Sequence[Edge]) -> list[Needs]:
    blob_need: dict[str, bool] = {}
    needs = []
    for layer in layers:
        inherited = [blob_need[name] for name in layer.bottoms]
        params = [rate != 0 for rate in layer.rates]
        learns = any(inherited) or any(params)
        bottoms = list(layer.propagate_down) or inherited
        needs.append(Needs(learns, bottoms, params))
        for name in layer.tops:
            blob_need[name] = learns
    return needs


def _reverse_sweep(layers: Sequence[Edge], needs: Sequence[Needs]) -> None:
    under_loss: set[str] = set()
    skip: set[str] = set()
    for layer, need in zip(reversed(layers), reversed(needs), strict=True):
        contributes, all_skip = False, True
        for name, weight in zip(layer.tops, layer.loss_weights, strict=True):
            contributes |= bool(weight) or name in under_loss
            all_skip &= name in skip
            if contributes and not all_skip:
                break
        if need.layer and all_skip:
            need.cut = contributes
            need.layer = False
            need.bottoms = [False] * len(need.bottoms)
        if not contributes:
            need.layer = False
        for position, name in enumerate(layer.bottoms):
            if contributes:
                under_loss.add(name)
            else:
                need.bottoms[position] = False
            if not need.bottoms[position]:
                skip.add(name)
