"""The batches that gradients are compared on, and the port's training run on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from torchcaffe.diagnosis.findings import Cause, Place
from torchcaffe.diagnosis.training.dropouts import Dropouts
from torchcaffe.diagnosis.training.gradients import GradientTrial, stir
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.recipe import Recipe
from torchcaffe.diagnosis.training.reference import make_batch
from torchcaffe.diagnosis.training.run_port import Runner


class Trials:
    """Runs the port's training code on batches of several sizes and scales.

    ``ignored``  whether batches have labels that the loss ignores: no longer once the port failed
    on one. ``causes`` and ``notes`` are what failing says.
    """

    def __init__(self, runner: Runner, caffe: Recipe, size: int) -> None:
        self.runner, self.caffe, self.size = runner, caffe, size
        self.reference = runner.reference
        self.ignored = True
        self.causes: list[Cause] = []
        self.notes: list[str] = []

    def batch(self, number: int, size: int | None = None, scale: float = 1.0) -> dict[str, Tensor]:
        """The batch of a number."""
        size = size or self.size
        return make_batch(self.reference, size, number, scale=scale, ignored=self.ignored)

    def run(self) -> list[GradientTrial]:
        """All trials that work; none if the first does not.

        In float64; in float32 if the port's code computes in no other type.
        """
        for dtype in (torch.float64, torch.float32):
            self.runner.dtype = dtype
            notes, self.notes = self.notes, []
            with preserved(self.runner.port, dtype), Dropouts():
                stir(self.runner.port.model)
                found = self._run()
                if not found and not self.ignored:
                    found = self._run()
            if found:
                return found
        self.notes = notes
        return []

    def _run(self) -> list[GradientTrial]:
        found = []
        for size, scale, updates in self._kinds():
            trial = self._trial(size, scale, updates)
            if trial is not None:
                found.append(trial)
            elif not found:
                return []
        return found

    def _kinds(self) -> list[tuple[int, float, int]]:
        """Batch size, scale of the inputs, updates.

        Two sizes, and gradients that are long and, if Caffe clips, short: clipping changes only
        the former.
        """
        other = self.size - 1 if self.size > 2 else self.size + 1
        clips = self.caffe.clip.form != "none"
        scales = [30.0] if self.runner.steps or self.runner.port.clip or clips else []
        scales += [0.01, 1000.0] if clips else []
        updates = 2 if self.runner.steps else 1
        return [(self.size, 1.0, updates), (other, 1.0, 1), *((self.size, s, 1) for s in scales)]

    def _trial(self, size: int, scale: float, updates: int) -> GradientTrial | None:
        count = updates * max(self.caffe.iter_size, self.runner.port.accumulate or 1, 2)
        batches = [self.batch(number, size, scale) for number in range(count)]
        try:
            with preserved(self.runner.port, weights=False):
                seen = self.runner.updates(batches, updates)
        except Exception as error:
            self._raised(error, size)
            return None
        seen = [update for update in seen if update.grads]
        if not seen:
            self.notes.append(
                f"The port's step on {len(batches)} batches never called its optimizer's step: "
                f"gradients are not compared."
            )
            return None
        taken = seen[-1].batches
        batches += [batches[-1]] * (taken - len(batches))
        return GradientTrial(batches[:taken], seen, size)

    def _raised(self, error: Exception, size: int) -> None:
        """A step that fails: on the ignored label alone, or at all."""
        ignores = [ignore for _, ignore in self.reference.labels.values() if ignore is not None]
        if not (ignores and self.ignored and size == self.size and self._works_without(size)):
            self.notes.append(
                f"The port's training raised {type(error).__name__} on a batch of {size} "
                f"({error}): gradients are not compared there."
            )
            return
        self.ignored = False
        self.causes.append(_fails_on(ignores, error, list(self.caffe.losses)))

    def _works_without(self, size: int) -> bool:
        """Whether batches without ignored labels pass."""
        plain = [make_batch(self.reference, size, n, ignored=False) for n in range(2)]
        try:
            with preserved(self.runner.port, weights=False):
                self.runner.updates(plain, 1)
        except Exception:  # then the labels are not what it fails on, and its error is said
            return False
        return True


def _fails_on(labels: Sequence[int], error: Exception, losses: Sequence[str]) -> Cause:
    named = ", ".join(str(label) for label in labels)
    return Cause(
        "ignore-label",
        tuple(losses),
        Place("loss"),
        f"Your loss fails on label {named}: {type(error).__name__}: {error}",
        f"Caffe's ignores label {named}.",
        f"ignore_index={labels[0]} in your loss",
        evidence={"port": None, "caffe": list(labels)},
    )
