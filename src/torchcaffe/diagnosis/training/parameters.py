"""Which of the port's parameters is which of Caffe's blobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from torchcaffe.diagnosis.parameters import ParameterAlignment, ParameterPair
from torchcaffe.diagnosis.relations import squeezed
from torchcaffe.diagnosis.training.recipe import Blob
from torchcaffe.net import CaffeNet


def _itself(value: Tensor) -> Tensor:
    return value


@dataclass(frozen=True)
class Pair:
    """A blob of Caffe's, the parameter of the port that stands for it, and the ways between.

    ``to_port`` makes the parameter's values of the blob's, ``to_caffe`` the other way around.
    """

    layer: str
    index: int
    name: str
    to_port: Callable[[Tensor], Tensor] = _itself
    to_caffe: Callable[[Tensor], Tensor] = _itself

    @property
    def blob(self) -> Blob:
        """The blob as a recipe names it."""
        return f"{self.layer}/{self.index}"


WHOLE = 4_000_000
"""Nets with more parameters than this are compared by some of them."""

SOME = 16_384
"""So many of each blob are looked at then."""


def some(value: Tensor, step: int) -> Tensor:
    """Every ``step``-th element in a copy of its own; the whole in its shape if that is 1."""
    return value.clone() if step == 1 else value.reshape(-1)[::step].clone()


@dataclass(frozen=True)
class Statistics:
    """A BatchNorm layer and the port's module that stands for it."""

    layer: str
    name: str


def pair_all(
    net: CaffeNet,
    model: nn.Module,
    called: Sequence[str],
    alignment: ParameterAlignment | None = None,
) -> tuple[list[Pair], list[Statistics]]:
    """Which parameter is which blob, and which module keeps which layer's statistics.

    First what ``alignment`` knows by values; then shapes, in the order of the layers and of the
    modules as they are ``called``.
    """
    learned = {
        (entry.layer, entry.index): entry.value
        for entry in net.learnable
        if isinstance(entry.value, nn.Parameter)
    }
    params = dict(_in_order(dict(model.named_parameters()), called))
    known = [found for found in alignment.pairs if found.relation.same] if alignment else []
    pairs = [
        _pair(found, learned[found.layer, found.index], params[found.name])
        for found in known
        if (found.layer, found.index) in learned and found.name in params
    ]
    for match in (only_fits, longest_chain):
        ours = [key for key in learned if key not in {(pair.layer, pair.index) for pair in pairs}]
        theirs = [name for name in params if name not in {pair.name for pair in pairs}]
        matches = match(
            [squeezed(learned[key].shape) for key in ours],
            [squeezed(params[name].shape) for name in theirs],
        )
        for left, right in matches:
            key, name = ours[left], theirs[right]
            pairs.append(_by_shape(*key, name, learned[key], params[name]))
    place = {key: number for number, key in enumerate(learned)}
    pairs.sort(key=lambda pair: place[pair.layer, pair.index])
    return pairs, _pair_statistics(net, model, called, known)


def _pair_statistics(
    net: CaffeNet, model: nn.Module, called: Sequence[str], known: Sequence[ParameterPair]
) -> list[Statistics]:
    end = ".running_mean"
    found = [
        Statistics(pair.layer, pair.name.removesuffix(end))
        for pair in known
        if pair.name.endswith(end) and pair.index == 0
    ]
    taken = {entry.layer for entry in found}, {entry.name for entry in found}
    ours = {
        step.name: (net.params[step.name][0].numel(),)
        for step in net.steps
        if step.kind.name == "BatchNorm" and step.name not in taken[0]
    }
    buffers = {
        name.removesuffix(end): value
        for name, value in model.named_buffers()
        if name.endswith(end) and name.removesuffix(end) not in taken[1]
    }
    theirs = {name: (value.numel(),) for name, value in _in_order(buffers, called)}
    matches = longest_chain(list(ours.values()), list(theirs.values()))
    return found + [Statistics(list(ours)[a], list(theirs)[b]) for a, b in matches]


def _in_order(values: Mapping[str, Tensor], called: Sequence[str]) -> list[tuple[str, Tensor]]:
    """Named tensors in the order in which their modules are called; of others, as they are."""
    place = {name: number for number, name in enumerate(dict.fromkeys(called))}

    def key(item: tuple[int, tuple[str, Tensor]]) -> tuple[int, int]:
        number, (name, _) = item
        owner = name if name in place else name.rpartition(".")[0]
        return place.get(owner, len(place)), number

    return [entry for _, entry in sorted(enumerate(values.items()), key=key)]


def only_fits(
    ours: Sequence[tuple[int, ...]], theirs: Sequence[tuple[int, ...]]
) -> list[tuple[int, int]]:
    """Shapes that fit one of the other side alone, and the other way around."""
    fits = [[j for j, other in enumerate(theirs) if _fit(shape, other)] for shape in ours]
    back = [sum(_fit(shape, other) for shape in ours) for other in theirs]
    return [(i, js[0]) for i, js in enumerate(fits) if len(js) == 1 and back[js[0]] == 1]


def longest_chain(
    ours: Sequence[tuple[int, ...]], theirs: Sequence[tuple[int, ...]]
) -> list[tuple[int, int]]:
    """The longest common subsequence, as pairs of places; of several, the earliest."""
    lengths = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            both = lengths[i + 1][j + 1] + 1 if _fit(ours[i], theirs[j]) else 0
            lengths[i][j] = max(lengths[i + 1][j], lengths[i][j + 1], both)
    i = j = 0
    found = []
    while i < len(ours) and j < len(theirs):
        if _fit(ours[i], theirs[j]) and lengths[i][j] == lengths[i + 1][j + 1] + 1:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _fit(ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    """The same shape, one row for each output on both sides, or a matrix and its transpose."""
    if ours == theirs or (len(ours) == 2 and ours == theirs[::-1]):
        return True
    return bool(ours) and ours[:1] == theirs[:1] and prod(ours) == prod(theirs)


def _by_shape(layer: str, index: int, name: str, caffe: Tensor, port: Tensor) -> Pair:
    if caffe.dim() < 2 or port.shape != caffe.shape[::-1] or caffe.shape == port.shape:
        return Pair(
            layer,
            index,
            name,
            lambda value: value.reshape(port.shape),
            lambda value: value.reshape(caffe.shape),
        )
    return Pair(layer, index, name, torch.t, torch.t)


def _pair(found: ParameterPair, caffe: Tensor, port: Tensor) -> Pair:
    places = torch.arange(caffe.numel(), dtype=torch.float64).reshape(caffe.shape)
    order = found.relation.change(places).reshape(-1).long()
    if bool((order == torch.arange(caffe.numel())).all()):
        return Pair(
            found.layer,
            found.index,
            found.name,
            lambda value: value.reshape(port.shape),
            lambda value: value.reshape(caffe.shape),
        )

    def to_caffe(value: Tensor) -> Tensor:
        flat = value.new_empty(value.numel())
        flat[order] = value.reshape(-1)
        return flat.reshape(caffe.shape)

    return Pair(
        found.layer,
        found.index,
        found.name,
        lambda value: value.reshape(-1)[order].reshape(port.shape),
        to_caffe,
    )


def as_shaped(pairs: Sequence[Pair], net: CaffeNet, model: nn.Module) -> list[Pair]:
    """The pairs as the port uses its parameters, if none whose shape is Caffe's is reordered.

    Values that lie in Caffe's order in another one may be a mistake, or belong to code that wants
    them so.
    """
    params, blobs = dict(model.named_parameters()), net.params
    return [
        _by_shape(p.layer, p.index, p.name, caffe, port)
        if squeezed(caffe.shape) == squeezed(port.shape)
        else p
        for p in pairs
        for caffe, port in [(blobs[p.layer][p.index], params[p.name])]
    ]


@torch.no_grad()
def carry_weights(
    net: CaffeNet, model: nn.Module, pairs: Sequence[Pair], statistics: Sequence[Statistics]
) -> None:
    """Give the reference the port's weights: what differs then is not the weights."""
    params, blobs = dict(model.named_parameters()), net.params
    for pair in (pair for pair in pairs if pair.layer in blobs):
        value = blobs[pair.layer][pair.index]
        value.copy_(pair.to_caffe(params[pair.name].detach()).reshape(value.shape))
    modules = dict(model.named_modules())
    for entry in (entry for entry in statistics if entry.layer in blobs):
        module = modules[entry.name]
        mean, variance, factor = blobs[entry.layer]
        step = next(step for step in net.steps if step.name == entry.layer)
        fraction = step.param.batch_norm_param.moving_average_fraction
        factor.fill_(1 / (1 - fraction) if fraction < 1 else 1)
        mean.copy_(getattr(module, "running_mean") * factor)  # noqa: B009
        variance.copy_(getattr(module, "running_var") * factor)  # noqa: B009
