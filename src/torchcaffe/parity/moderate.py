"""Estimates of many variances, each from a few draws, made better by one another.

A few draws leave some elements almost still by chance. How unlike the elements of a group really
are shows in how far their estimates scatter beyond what chance makes of equal ones; the less unlike
they are, the more each is drawn to the group's mean. (Smyth 2004, "Linear models and empirical
Bayes methods", section 6.2.)
"""

from __future__ import annotations

import torch
from torch import Tensor

MEMBERS = 16
"""Fewer elements than this say nothing of one another."""

STILL = 1 / 16
"""What never moved may stand just before a kink (a ReLU's zero), and no draw went its way: it
counts for this part of its group's mean square."""


def moderated(square: Tensor, draws: int) -> Tensor:
    """Mean squares of ``draws`` normal numbers each, drawn to those of their channel.

    square  (N, C, ...)  a group is a channel's places; where those are few, the whole blob
    """
    if square.ndim > 2 and square[0, 0].numel() >= MEMBERS:
        groups = square.flatten(2).flatten(0, 1)
    elif square.ndim == 2 and square.shape[1] >= MEMBERS:
        groups = square
    elif square.numel() >= MEMBERS:
        groups = square.reshape(1, -1)
    else:
        return square
    alive = groups > 0
    count = alive.sum(1, keepdim=True).clamp(min=2)
    logs = torch.where(alive, groups, 1).log()
    mean = logs.sum(1, keepdim=True) / count
    scatter = torch.where(alive, logs - mean, 0).square().sum(1, keepdim=True) / (count - 1)
    half = torch.tensor(draws / 2, dtype=square.dtype, device=square.device)
    unlike = (scatter - torch.polygamma(1, half)).clamp(min=1e-3)
    # The solution of trigamma(x) = unlike, with trigamma(x) = 1/x + 1/(2 x^2) nearly.
    prior = (1 + (1 + 2 * unlike).sqrt()) / (2 * unlike)
    centre = mean - torch.digamma(half) + half.log() + torch.digamma(prior) - prior.log()
    drawn = (prior * centre.exp() + half * groups) / (prior + half)
    some = alive.any(1, keepdim=True)
    still = torch.where(some, centre.exp(), 0)
    still = torch.where(some, still, still.sum() / some.sum().clamp(min=1)) * STILL
    return torch.where(alive, drawn, still).reshape(square.shape)
