"""What the hypotheses about one part of training look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from torchcaffe.diagnosis.training.parameters import Pair
from torchcaffe.diagnosis.training.recipe import Blob, Recipe
from torchcaffe.diagnosis.training.updates import CLASS, Fit, Trial, fit_blob


@dataclass(frozen=True)
class UpdateCase:
    """The trial of the port's optimizer, beside Caffe's recipe."""

    trial: Trial
    caffe: Recipe
    base_lr: float
    weight_decay: float
    pairs: Sequence[Pair]
    optimizer: Optimizer

    def moves(self, blob: Blob) -> bool:
        """Whether the port's optimizer changed the blob's parameter."""
        return bool(self.trial.steps()[:, self.trial.slices[blob]].any())

    def trained(self, recipe: Recipe) -> list[Blob]:
        """Blobs that the port and the recipe both move, by gradients."""
        return [
            blob
            for blob in self.trial.slices
            if self.moves(blob) and recipe.rates[blob] and blob in self.trial.fed
        ]

    def fits(self, recipe: Recipe) -> dict[Blob, Fit]:
        """What the first step shows of each blob that both move."""
        return {blob: fit_blob(self.trial, blob, recipe) for blob in self.trained(recipe)}

    def ratios(self, recipe: Recipe) -> dict[Blob, float]:
        """The rate of each blob that both move, as a part of the recipe's."""
        return {b: float(f"{f.rate / recipe.rates[b]:.5g}") for b, f in self.fits(recipe).items()}

    def without_multipliers(self, recipe: Recipe) -> bool:
        """Whether the port moves all blobs at base_lr, and Caffe none."""
        rates = [fit.rate for fit in self.fits(recipe).values()]
        return all(not differ(rate, self.base_lr) for rate in rates) and all(
            differ(self.caffe.rates[blob], self.base_lr) for blob in self.trained(recipe)
        )

    def names(self, blobs: Sequence[Blob]) -> str:
        """The port's parameters for some blobs, in words."""
        names = {pair.blob: pair.name for pair in self.pairs}
        found = [names[blob] for blob in blobs]
        more = f" and {len(found) - 4} more" if len(found) > 5 else ""
        return ", ".join(found[:4] if more else found) + more

    def setting(self, name: str) -> list[Any]:
        """The values that the optimizer's groups hold under a name, each once."""
        found: list[Any] = []
        for group in self.optimizer.param_groups:
            if name in group and group[name] not in found:
                found.append(group[name])
        return found

    @property
    def kind(self) -> str:
        """The optimizer's class, as the person wrote it."""
        return type(self.optimizer).__name__


def layers_of(blobs: Sequence[Blob]) -> tuple[str, ...]:
    """The layers that have some blobs, each once."""
    return tuple(dict.fromkeys(blob.rpartition("/")[0] for blob in blobs))


def differ(a: float, b: float) -> bool:
    """Whether two settings are not the same number."""
    return abs(a - b) > CLASS * max(abs(a), abs(b))


def number(value: float) -> str:
    """A setting as a person writes it."""
    return f"{value:.6g}"


def table(values: Mapping[Blob, float]) -> str:
    """Blobs with the same value together: "conv1/0, conv2/0: 0.01"."""
    found: dict[str, list[Blob]] = {}
    for blob, value in values.items():
        found.setdefault(number(value), []).append(blob)
    return "; ".join(
        f"{value} for {', '.join(blobs[:4])}{' and more' if len(blobs) > 4 else ''}"
        for value, blobs in found.items()
    )
