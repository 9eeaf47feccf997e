"""Initial weights by their law: the port built several times, beside Caffe's fillers.

A law is told by the spread of what it draws and by the shape of its histogram: the fourth moment
over the square of the second is 1.8 of a uniform law and 3 of a normal one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from torchcaffe.diagnosis.findings import Cause, Gap, Place
from torchcaffe.diagnosis.training.parameters import WHOLE, Pair
from torchcaffe.fillers import fan, fill
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import FillerParameter
from torchcaffe.random import Mersenne

BUILDS, ENOUGH, MOST = 12, 4000, 40_000
SIGMAS = 5.5
"""How many standard errors apart two laws must be to count: one in 26 million by chance."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """What some draws have in common: mean, spread, and shape (0 where all are one number)."""

    mean: float
    std: float
    shape: float
    count: int

    @property
    def words(self) -> str:
        """The law by name."""
        if not self.std:
            return f"constant {self.mean:.4g}"
        kind = "uniform" if self.shape < 2.4 else "normal"
        if kind == "uniform":
            return f"uniform within {self.std * 3**0.5:.4g} (std {self.std:.4g})"
        return f"normal with std {self.std:.4g}"


def law(values: Values) -> Law:
    """The law of some draws."""
    mean, std = float(values.mean()), float(values.std())
    if std < 1e-12 * max(abs(mean), 1e-30) or std == 0:
        return Law(mean, 0.0, 0.0, values.size)
    centred = (values - mean) / std
    return Law(mean, std, float((centred**4).mean()), values.size)


def same_law(a: Law, b: Law) -> bool:
    """Whether two laws are nearer than chance makes of equal ones."""
    return distance(a, b) <= SIGMAS


def distance(a: Law, b: Law) -> float:
    """How many standard errors two laws are apart, in mean, spread or shape."""
    if not a.std or not b.std:
        same = a.std == b.std and abs(a.mean - b.mean) <= 1e-6 * max(abs(a.mean), abs(b.mean))
        return 0.0 if same else float("inf")
    rate = 1 / a.count + 1 / b.count
    shape = min(a.shape, b.shape)
    spread = abs(float(np.log(a.std / b.std))) / (max(shape - 1, 0.5) / 4 * rate) ** 0.5
    centre = abs(a.mean - b.mean) / (a.std**2 / a.count + b.std**2 / b.count) ** 0.5
    kinds = abs(a.shape - b.shape) / (24 * rate) ** 0.5
    return float(max(spread, centre, kinds))


def initial_causes(
    build: Callable[[], nn.Module], net: CaffeNet, pairs: Sequence[Pair], loaded: Sequence[str]
) -> Iterator[Cause]:
    """Blobs that begin by another law; none for layers whose weights are ``loaded``."""
    wrong: dict[tuple[str, str, str], list[tuple[Pair, Law, Law, Law]]] = {}
    read = []
    for pair, values, drawn in _draw(build, [pair for pair in pairs if pair.layer not in loaded]):
        filler, shape = _filler(net, pair)
        mine, theirs = law(values), law(_caffe_draws(filler, shape, values.size))
        if same_law(mine, theirs):
            read += [] if drawn else [pair]
        elif drawn and mine.count > 1:
            identifier, words, changed = _explain(filler, shape, mine)
            wrong.setdefault((identifier, words, _text(filler)), []).append(
                (pair, mine, theirs, changed)
            )
    for (identifier, words, caffe), found in wrong.items():
        yield _cause(identifier, words, caffe, found)
    if read:
        yield _read(read)


def _read(pairs: Sequence[Pair]) -> Cause:
    names = ", ".join(pair.name for pair in pairs[:4])
    return Cause(
        "random-stream",
        tuple(dict.fromkeys(pair.layer for pair in pairs)),
        Place(names),
        f"Your code reads {len(pairs)} parameters from somewhere ({names} ...) that look like "
        f"fresh draws of Caffe's fillers, in whatever order they lie.",
        "Caffe draws them from its fillers: the same law. Reshaped where they should be "
        "transposed, random numbers are as random as before.",
        "nothing, as long as they are random; trained weights must be in their places",
        evidence={"parameters": [pair.name for pair in pairs]},
        harmless=True,
    )


def _draw(build: Callable[[], nn.Module], pairs: Sequence[Pair]) -> list[tuple[Pair, Values, bool]]:
    """What each parameter began with, over several builds, and whether that is drawn."""
    pooled: dict[str, list[Values]] = {pair.name: [] for pair in pairs}
    if not pairs:
        return []
    with torch.random.fork_rng(devices=[]):
        builds = BUILDS
        for seed in range(BUILDS):
            torch.manual_seed(1701 + seed)
            params = dict(build().named_parameters())
            if sum(param.numel() for param in params.values()) > WHOLE:
                builds = 2  # its weights are many, and building it takes long
            for name, values in pooled.items():
                flat = params[name].detach().reshape(-1)
                values.append(flat[:MOST].double().cpu().numpy())
            if seed + 1 >= builds or (
                seed and all(sum(v.size for v in values) >= ENOUGH for values in pooled.values())
            ):
                break
    found = []
    for pair in pairs:
        values = pooled[pair.name]
        fixed = all(np.array_equal(values[0], other) for other in values[1:])
        # What never varies is a constant, or was read from a file.
        drawn = not fixed or values[0].std() == 0
        found.append((pair, values[0] if fixed else np.concatenate(values), drawn))
    return found


def _filler(net: CaffeNet, pair: Pair) -> tuple[FillerParameter, tuple[int, ...]]:
    step = next(step for step in net.steps if step.name == pair.layer)
    blob = net.params[pair.layer][pair.index]
    return step.plan.blobs[pair.index].filler, tuple(blob.shape)


def _caffe_draws(filler: FillerParameter, shape: tuple[int, ...], count: int) -> Values:
    found: list[Values] = []
    stream, size = Mersenne(1701), 0
    while size < max(count, ENOUGH):
        values = fill(filler, shape, stream).reshape(-1)[:MOST].astype(np.float64)
        found.append(values)
        size += values.size
        if filler.type in ("constant", "bilinear"):
            break
    return np.concatenate(found)


def _explain(filler: FillerParameter, shape: tuple[int, ...], mine: Law) -> tuple[str, str, Law]:
    """The cause, what the port does, and the law that Caffe would have so changed: the nearest."""
    others = []
    for norm in ("FAN_IN", "FAN_OUT", "AVERAGE"):
        if filler.type in ("xavier", "msra") and norm != filler.variance_norm:
            changed = filler.copy()
            changed.variance_norm = norm
            others.append(("filler-fan", f"the {filler.type} law with {norm}", changed))
    others += [("filler-kind", words, other) for words, other in _usual(shape)]
    laws = [law(_caffe_draws(other, shape, mine.count)) for *_, other in others]
    best = min(range(len(laws)), key=lambda place: distance(mine, laws[place]), default=None)
    if best is None or not same_law(mine, laws[best]):
        return "filler-kind", mine.words, mine
    return others[best][0], others[best][1], laws[best]


def _usual(shape: tuple[int, ...]) -> Iterator[tuple[str, FillerParameter]]:
    bound = 1 / float(fan(shape)) ** 0.5 if shape else 1.0
    if len(shape) > 1:
        yield (
            "torch's own, uniform within 1 / sqrt(fan in)",
            FillerParameter(type="uniform", min=-bound, max=bound),
        )
    for kind in ("xavier", "msra") if shape else ():
        for norm in ("FAN_IN", "FAN_OUT", "AVERAGE"):
            yield f"the {kind} law with {norm}", FillerParameter(type=kind, variance_norm=norm)


def _text(filler: FillerParameter) -> str:
    fields = [
        f"{field.name} {getattr(filler, field.name):g}"
        if isinstance(getattr(filler, field.name), float)
        else f"{getattr(filler, field.name)}"
        for field, _ in filler.present()
        if field.name != "type"
    ]
    return " ".join([filler.type, *fields])


def _cause(
    identifier: str, words: str, caffe: str, found: Sequence[tuple[Pair, Law, Law, Law]]
) -> Cause:
    _, mine, theirs, changed = found[0]
    names = ", ".join(entry[0].name for entry in found[:4])
    return Cause(
        identifier,
        tuple(dict.fromkeys(entry[0].layer for entry in found)),
        Place(names),
        f"Your {names} begin as {mine.words}: {words}.",
        f"Caffe's filler is {caffe}: {theirs.words}.",
        f"{_init(theirs)} for {names}",
        _law_gap(mine, theirs),
        _law_gap(mine, changed),
        {"port": _numbers(mine), "caffe": _numbers(theirs), "sigmas": distance(mine, theirs)},
    )


def _init(wanted: Law) -> str:
    if not wanted.std:
        return f"nn.init.constant_(p, {wanted.mean:.4g})"
    if wanted.shape < 2.4:
        bound = wanted.std * 3**0.5
        return f"nn.init.uniform_(p, {-bound:.4g}, {bound:.4g})"
    return (
        f"nn.init.normal_(p, {0 if abs(wanted.mean) < wanted.std / 50 else wanted.mean:.4g}, "
        f"{wanted.std:.4g})"
    )


def _law_gap(a: Law, b: Law) -> Gap:
    far = distance(a, b)
    port, caffe = (a.std, b.std) if a.std or b.std else (a.mean, b.mean)
    size = max(abs(port), abs(caffe), 1e-30)
    return Gap((), port, caffe, abs(port - caffe) / size, far / SIGMAS)


def _numbers(found: Law) -> Mapping[str, float]:
    return {"mean": found.mean, "std": found.std, "shape": found.shape, "count": found.count}
