"""Caffe's side of a training: the solver's train net, and what each of its losses adds.

The net computes in float64, and its dropout is torch's, so that ``dropouts`` has it under control.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor, nn

from torchcaffe.build import Step
from torchcaffe.diagnosis.training.parameters import (
    SOME,
    WHOLE,
    Pair,
    Statistics,
    carry_weights,
    some,
)
from torchcaffe.diagnosis.training.recipe import LossTerm, Recipe, caffe_recipe
from torchcaffe.errors import InputError
from torchcaffe.layers._registry import Shape
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import NetParameter, SolverParameter

NORMALISED = ("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "InfogainLoss")
"""Losses that have a loss_param."""

MODES = {"VALID": "V", "FULL": "P", "BATCH_SIZE": "N", "NONE": "1"}

FIXED = {"EuclideanLoss": "2N", "ContrastiveLoss": "2N", "HingeLoss": "N"}
FIXED |= {"MultinomialLogisticLoss": "N"}
"""What other losses are divided by; those that are not here, by nothing."""

DIVISORS = {
    "1": "summed, divided by nothing",
    "N": "divided by the batch size",
    "P": "divided by the number of all its elements or positions",
    "V": "divided by the number of positions whose label counts",
    "2": "summed and halved",
    "2N": "divided by twice the batch size",
    "2P": "divided by twice the number of all its elements",
}

COMPUTE = 1e9
"""Multiply-adds of a trial's pass, at most, unless two samples alone take more."""


@dataclass(frozen=True)
class RawLoss:
    """One loss, neither divided nor weighted, its gradients, and what it may be divided by."""

    value: float
    grads: Mapping[str, Tensor]
    counts: Mapping[str, float]

    def divided(self, term: LossTerm) -> float:
        """The factor that a term puts before the raw loss."""
        return term.weight / self.counts[term.divisor]


class Reference:
    """The train net of a solver, with the port's weights.

    solver, net
        the solver, and its train net in place of what the solver names.
    inputs
        shapes by name, in place of the prototxt's or of data layers' tops.
    """

    def __init__(
        self,
        solver: SolverParameter,
        net: NetParameter,
        inputs: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.solver, self.param = solver, net
        self.given = dict(inputs or {})
        self.stored: dict[str, bool] = {}
        """BatchNorm layers that are to use stored statistics, or not, whatever the net says."""
        self.net = self.build({})
        self.large = sum(entry.value.numel() for entry in self.net.learnable) > WHOLE
        self.pairs: Sequence[Pair] = ()
        self.statistics: Sequence[Statistics] = ()

    def build(
        self,
        ignores: Mapping[str, int | None],
        batch: int | None = None,
        thawed: Collection[str] = (),
    ) -> CaffeNet:
        """The train net with other labels ignored, for another batch size, frozen layers thawed."""
        param = self.param.copy()
        for layer in param.layer:
            if layer.top and set(layer.top) <= set(self.given):
                for unread in ("transform_param", "data_param", "image_data_param"):
                    layer.clear(unread)
            for spec in layer.param if layer.name in thawed else ():
                spec.lr_mult = 1.0
            if layer.name in self.stored:
                layer.ensure("batch_norm_param").use_global_stats = self.stored[layer.name]
            if layer.name in ignores and layer.type in NORMALISED:
                loss = layer.ensure("loss_param")
                loss.clear("ignore_label")
                if ignores[layer.name] is not None:
                    loss.ignore_label = ignores[layer.name]
                loss.normalization = "NONE"
        shapes: dict[str, Sequence[int]] = dict(self.given)
        if batch is not None:
            shapes |= {name: (batch, *shape[1:]) for name, shape in self.shapes.items()}
        names = [layer.name for layer in param.layer]
        net = CaffeNet(param, "TRAIN", inputs=shapes, rng="torch", unfilled=names)
        with torch.no_grad():
            for entry in net.learnable:
                entry.value.zero_()
        return net.to(torch.float64)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The inputs of a pass, those of data layers included."""
        found = dict(self.net.inputs)
        layers = self.net.data_layers
        for step in self.net.steps:
            if step.name in layers:
                found |= zip(step.tops, step.top_shapes, strict=True)
        if not found:
            raise InputError("the train net has no inputs that a port could be given")
        return found

    @property
    def batch_size(self) -> int:
        """The batch size of the train net."""
        return next(iter(self.shapes.values()))[0]

    @cached_property
    def targets(self) -> list[str]:
        """Inputs that reach a loss without passing a layer that learns, but none that does."""
        learned: set[str] = set()
        for step in reversed(self.net.steps):
            if step.specs or any(top in learned for top in step.tops):
                learned.update(step.bottoms)
        names = [name for name in self.shapes if name not in learned]
        return names if len(names) < len(self.shapes) else []

    @cached_property
    def labels(self) -> dict[str, tuple[int, int | None]]:
        """Inputs that are labels: how many classes there are, and which label is ignored."""
        found: dict[str, tuple[int, int | None]] = {}
        indices = self.net.index_inputs
        for step in self.net.steps:
            source = self.source_of(step.bottoms[-1]) if step.bottoms else ""
            if step.kind.loss and source in indices | set(self.targets) and step.indices:
                axis = step.param.softmax_param.axis if step.kind.name == "SoftmaxWithLoss" else 1
                term = loss_term(step, 1.0)
                classes = step.bottom_shapes[0][axis] if len(step.bottom_shapes[0]) > 1 else 2
                found[source] = (classes, term.ignore)
            elif step.kind.name == "SigmoidCrossEntropyLoss" and source in self.targets:
                found[source] = (2, loss_term(step, 1.0).ignore)
        return found

    def source_of(self, blob: str) -> str:
        """The input that a blob is a copy of."""
        for step in reversed(self.net.steps):
            if blob in step.tops and step.kind.name in ("Split", "Reshape", "Flatten"):
                blob = step.bottoms[0]
        return blob

    def trial_size(self) -> int:
        """The batch size of trials: the net's own unless that takes too long."""
        return int(min(self.batch_size, max(2, COMPUTE // max(self._each, 1))))

    @property
    def heavy(self) -> bool:
        """Whether a pass takes so long that there should be few."""
        return self.trial_size() * self._each > COMPUTE / 2

    @property
    def _each(self) -> float:
        """Multiply-adds for one sample."""
        return sum(step.plan.multiply_adds for step in self.net.steps) / self.batch_size

    def step_of(self, value: Tensor) -> int:
        """Every how many elements of a blob are looked at: each, unless the net is large."""
        return max(1, value.numel() // SOME) if self.large else 1

    def carry(self, model: nn.Module, net: CaffeNet) -> None:
        """Give a net the port's weights."""
        carry_weights(net, model, self.pairs, self.statistics)

    def recipe(self) -> Recipe:
        """Caffe's recipe."""
        return caffe_recipe(self.solver, self.net).change(
            losses={
                step.name: loss_term(step, weight)
                for step in self.net.steps
                for weight in step.loss_weights
                if weight
            }
        )

    def raw_losses(
        self, net: CaffeNet, batch: Mapping[str, Tensor], *, whole: bool = False
    ) -> dict[str, RawLoss]:
        """Each loss of a pass by itself; of a large net some elements, unless the ``whole``."""
        given = {name: value.double() for name, value in batch.items() if name in net.inputs}
        with torch.enable_grad():
            run = net.run(given)
            params = {
                f"{entry.layer}/{entry.index}": entry.value
                for entry in net.learnable
                if entry.value.requires_grad
            }
            found = {}
            for step in net.steps:
                for top, weight in zip(step.tops, step.loss_weights, strict=True):
                    if weight:
                        total = run.blobs[top].sum()
                        found[step.name] = self._raw(step, total, run.blobs, params, whole)
        return found

    def _raw(
        self,
        step: Step,
        value: Tensor,
        blobs: Mapping[str, Tensor],
        params: Mapping[str, Tensor],
        whole: bool,
    ) -> RawLoss:
        counts = _counts(step, blobs)
        # Those with a loss_param were built to sum up.
        scale = 1.0 if step.kind.name in NORMALISED else counts[loss_term(step, 1.0).divisor]
        grads = torch.autograd.grad(
            value * scale, list(params.values()), retain_graph=True, allow_unused=True
        )
        return RawLoss(
            float(value.detach()) * scale,
            {
                name: some(
                    torch.zeros_like(param) if grad is None else grad,
                    1 if whole else self.step_of(param),
                )
                for (name, param), grad in zip(params.items(), grads, strict=True)
            },
            counts,
        )


def loss_term(step: Step, weight: float) -> LossTerm:
    """What Caffe makes of a loss layer's raw sum."""
    kind = step.kind.name
    if kind not in NORMALISED:
        return LossTerm(weight, FIXED.get(kind, "1"), None)
    p = step.param.loss_param
    ignore = p.ignore_label if p.has("ignore_label") else None
    mode = "BATCH_SIZE" if kind == "SigmoidCrossEntropyLoss" else "VALID"
    if p.has("normalization"):
        mode = p.normalization
    elif p.has("normalize"):
        mode = "VALID" if p.normalize else "BATCH_SIZE"
    return LossTerm(weight, "P" if mode == "VALID" and ignore is None else MODES[mode], ignore)


def _counts(step: Step, blobs: Mapping[str, Tensor]) -> dict[str, float]:
    """What a loss may be divided by."""
    bottom = blobs[step.bottoms[0]]
    batch = float(bottom.shape[0]) if bottom.dim() else 1.0
    positions = float(bottom.numel())
    if step.indices or step.kind.name == "InfogainLoss":
        positions = float(blobs[step.bottoms[1]].numel())
    valid = positions
    ignore = loss_term(step, 1.0).ignore
    if ignore is not None:
        valid = max(1.0, float((blobs[step.bottoms[1]].long() != ignore).sum()))
    counts = {"1": 1.0, "N": batch, "P": positions, "V": valid}
    return counts | {"2": 2.0, "2N": 2 * batch, "2P": 2 * positions}


def make_batch(
    reference: Reference, size: int, number: int, *, scale: float = 1.0, ignored: bool = True
) -> dict[str, Tensor]:
    """Inputs for one pass, the same for the same number: normal numbers, labels of all classes.

    ``ignored``  whether some of the labels are those that the loss ignores.
    """
    generator = torch.Generator().manual_seed(1701 + number)
    found = {}
    for name, shape in reference.shapes.items():
        shape = (size, *shape[1:])
        if name in reference.labels:
            classes, ignore = reference.labels[name]
            values = torch.randint(classes, shape, generator=generator)
            if ignore is not None and ignored and prod(shape) > 1:
                values[torch.rand(shape, generator=generator) < 0.3] = ignore
            found[name] = values.double()
        else:
            found[name] = torch.randn(shape, generator=generator).double() * scale
    return found
