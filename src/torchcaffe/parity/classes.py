"""Which exactness class each blob and gradient of a net is held to.

A blob made of exact blobs is held to its own layer's class. Behind a layer that rounds, errors
travel: they add up as independent errors do, by the root of the sum of their squares, so that a
blob's class is ``accumulated(k)`` with ``k`` over all layers on the way to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from torchcaffe.build import Step
from torchcaffe.layers._exactness import Exactness, accumulated, bitwise
from torchcaffe.net import CaffeNet


@dataclass(frozen=True)
class Classes:
    """The class of each blob, of each blob's gradient, and of each parameter's gradient."""

    blobs: dict[str, Exactness]
    diffs: dict[str, Exactness]
    param_diffs: dict[str, Exactness]


def after(inherited: Exactness, own: Exactness) -> Exactness:
    """The class of what a layer of class ``own`` makes of blobs of class ``inherited``."""
    if inherited == bitwise():
        return own
    if own == bitwise():
        return inherited if inherited.kind == "accumulated" else accumulated(inherited.size)
    return accumulated(hypot(inherited.size, own.size))


def step_classes(net: CaffeNet) -> list[Exactness]:
    """The class of what each layer makes of what came down to it, in the net's order."""
    forward: dict[str, Exactness] = {}
    found = []
    for step in net.steps:
        fed = max((forward[name] for name in step.bottoms), default=bitwise())
        found.append(after(fed, step.exactness))
        forward |= dict.fromkeys(step.tops, found[-1])
    return found


def declared_classes(net: CaffeNet) -> Classes:
    """The classes that the layers' declarations amount to in this net."""
    forward: dict[str, Exactness] = {}
    fed: list[Exactness] = []
    for step, made in zip(net.steps, step_classes(net), strict=True):
        fed.append(max((forward[name] for name in step.bottoms), default=bitwise()))
        forward |= dict.fromkeys(step.tops, made)
    diffs: dict[str, Exactness] = {}
    param_diffs: dict[str, Exactness] = {}
    for step, inherited in zip(reversed(net.steps), reversed(fed), strict=True):
        # The gradient on an output is given; all others are made of what came from above and of
        # the layer's own bottoms, with the errors of both.
        came = max((diffs.setdefault(name, bitwise()) for name in step.tops), default=bitwise())
        left = after(max(came, inherited), step.gradient)
        diffs |= dict.fromkeys(step.bottoms, left)
        for shared, _ in _param_names(step):
            param_diffs[shared] = max(left, param_diffs.get(shared, left))
    for step in net.steps:
        param_diffs |= {name: param_diffs[shared] for shared, name in _param_names(step)}
    return Classes(forward, diffs, param_diffs)


def _param_names(step: Step) -> list[tuple[str, str]]:
    """For each blob the name it may be shared under, and its own: layer/index."""
    names = [f"{step.name}/{index}" for index in range(len(step.specs))]
    return [(spec.name or name, name) for spec, name in zip(step.specs, names, strict=True)]
