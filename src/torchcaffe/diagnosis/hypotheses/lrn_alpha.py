"""LRN's numbers: alpha, which Caffe divides by the size of the window, and those beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from torchcaffe.diagnosis.hypotheses._registry import Proposal, State, hypothesis
from torchcaffe.diagnosis.hypotheses._tools import rounded
from torchcaffe.diagnosis.reference import Part
from torchcaffe.diagnosis.tape import Op
from torchcaffe.diagnosis.weighted import argument
from torchcaffe.layers.lrn import window_sums

SIZES, BETAS = (3, 5, 7, 9), (0.5, 0.75, 1.0)

LEAST = 1e-3
"""A fitted alpha that is a smaller part of Caffe's is none: the LRN is missing."""


@dataclass(frozen=True)
class _Norm:
    """x / (k + alpha / size * the squares around it) ** beta."""

    size: int
    alpha: float
    beta: float
    k: float

    def near(self, other: _Norm) -> bool:
        """Whether both compute the same."""
        mine, theirs = (self.alpha, self.beta, self.k), (other.alpha, other.beta, other.k)
        close = all(abs(a - b) <= 1e-7 * abs(b) for a, b in zip(mine, theirs, strict=True))
        return close and self.size == other.size

    def words(self) -> str:
        """The numbers, named."""
        return f"size {self.size}, alpha {self.alpha:.6g}, beta {self.beta:.6g}, k {self.k:.6g}"


@hypothesis("lrn-alpha")
def lrn_alpha(state: State) -> Iterator[Proposal]:
    """LRN's alpha is another than Caffe's, most often for want of the division by local_size (or
    its size, beta or k are others)."""
    for part in state.of("LRN"):
        p = part.param.lrn_param
        area = p.local_size ** (2 if p.norm_region == "WITHIN_CHANNEL" else 1)
        right = _Norm(p.local_size, p.alpha, p.beta, p.k)
        said = {_said(op): op for op in state.segment.calls("local_response_norm")}
        for guess in dict.fromkeys([*said, *_guesses(right, area), *_fitted(state, part, right)]):
            if guess.near(right) or guess.alpha < 0:
                continue
            forgotten = guess == replace(right, alpha=right.alpha * area)
            yield Proposal(
                layers=(part.name,),
                code=_words(guess, right, area),
                caffe=(
                    f"Caffe divides alpha = {p.alpha:.6g} by the {area} elements of the window and "
                    f"weighs the sum by {p.alpha / area:.6g}; beta is {p.beta:g}, k {p.k:g}."
                ),
                fix=f"nn.LocalResponseNorm({p.local_size}, alpha={p.alpha:g}, beta={p.beta:g}, "
                f"k={p.k:g})  # torch divides by the size too",
                parts=state.swapped(part, _changed(part, guess)),
                op=said.get(guess) or state.call("local_response_norm", "pow", "div"),
                evidence={"port": guess.alpha, "caffe": p.alpha, "size": area}
                if guess == replace(right, alpha=guess.alpha)
                else {"port": guess.words(), "caffe": right.words()},
                cost=0.0 if guess in said or forgotten else 0.5,
            )


def _words(guess: _Norm, right: _Norm, area: int) -> str:
    if guess != replace(right, alpha=guess.alpha):
        return f"Your code normalises with {guess.words()}."
    return (
        f"Your code weighs the sum of squares by {guess.alpha / area:.6g}, as an alpha of "
        f"{guess.alpha:.6g} would ({guess.alpha / right.alpha:.4g} times Caffe's)."
    )


def _changed(part: Part, norm: _Norm) -> Part:
    return part.changed(
        lrn_param__local_size=norm.size, lrn_param__alpha=norm.alpha,
        lrn_param__beta=norm.beta, lrn_param__k=norm.k,
    )  # fmt: skip


def _said(op: Op) -> _Norm:
    size, alpha, beta, k = (argument(op, name) for name in ("size", "alpha", "beta", "k"))
    return _Norm(int(size), float(alpha), float(beta), float(k))


def _guesses(right: _Norm, area: int) -> Iterator[_Norm]:
    """What people write in place of it: one number, or k beside an alpha that is not divided."""
    for alpha in (right.alpha * area, right.alpha / area, 1e-4, 1.0):
        yield replace(right, alpha=alpha)
    for alpha in (right.alpha, right.alpha * area, right.alpha / area):
        yield from (replace(right, alpha=alpha, k=k) for k in (1.0, 2.0))
    for size in SIZES:
        yield replace(right, size=size)
        yield replace(right, size=size, alpha=right.alpha * size / right.size)
    yield from (replace(right, beta=beta) for beta in BETAS)


def _fitted(state: State, part: Part, right: _Norm) -> Iterator[_Norm]:
    """The alpha and k that fit the port's output best, where the LRN is the segment's last layer,
    for Caffe's size and beta and, if they fit better, for others."""
    if part is not state.parts[-1] or part.param.lrn_param.norm_region != "ACROSS_CHANNELS":
        return
    x, y = state.bottoms(part)[0].double(), state.port.double()
    if x.shape != y.shape:
        return
    fits = []
    for size, beta in [(right.size, right.beta), *((s, b) for s in SIZES for b in BETAS)]:
        sums = window_sums(x * x, size, (1,))
        use = (y.abs() > 1e-6) & (sums > sums.mean()) & (x * y > 0)
        if int(use.sum()) < 4:
            return
        ratio = (x[use] / y[use]).pow(1 / beta)
        line = torch.stack([sums[use], torch.ones_like(ratio)], 1)
        found = torch.linalg.lstsq(line, ratio[:, None]).solution.reshape(-1)
        off = float((line @ found - ratio).norm() / ratio.norm())
        fits.append((off, size, beta, float(found[0]) * size, float(found[1])))
        # With Caffe's own k, alpha alone fits it nearer.
        alone = float(((ratio - right.k) * sums[use]).sum() / sums[use].square().sum()) * size
        if (size, beta) == (right.size, right.beta) and alone > LEAST * right.alpha:
            yield from (replace(right, alpha=alpha) for alpha in rounded(alone, 3, 2, 1))
    for _, size, beta, alpha, k in sorted(fits)[:2]:
        for digits in (3, 2, 1) if alpha > LEAST * right.alpha else ():
            yield _Norm(size, rounded(alpha, digits)[0], beta, rounded(k, digits)[0])
