"""Test passes: weights shared with the train net, every output averaged.

Caffe: ``src/caffe/solver.cpp`` (Test), ``src/caffe/net.cpp`` (ShareTrainedLayersWith).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from torchcaffe.errors import SolverError
from torchcaffe.layers._registry import shape_text
from torchcaffe.net import CaffeNet, Run
from torchcaffe.parameters import holder_of
from torchcaffe.solvers._single import single
from torchcaffe.solvers.debugging import Watch
from torchcaffe.solvers.events import Output, Request, Tested, Testing, TestInterrupted

if TYPE_CHECKING:
    from torchcaffe.solvers.solver import Solver


def run_test(solver: Solver, index: int) -> None:
    """One test pass: ``test_iter`` batches, summed in float32 and divided, as Caffe does."""
    net, feed = solver.test_nets[index], solver.feeds[1 + index]
    own = {step.name for step in net.steps}
    ignored = [step.name for step in solver.net.steps if step.name not in own]
    solver.tell(Testing(solver.iter, index, tuple(ignored)))
    share_weights(net, solver.net)
    count = solver.param.test_iter[index]
    watch = Watch(net, solver.tell) if solver.param.debug_info else None
    run, totals, loss = None, torch.zeros(0), 0.0
    for number in range(count):
        _answer(solver)
        if solver.stopping:
            solver.tell(TestInterrupted(index))
            return
        with torch.no_grad(), watch.forward() if watch else nullcontext():
            run = net.run(feed.next(solver.like))
        values = flat_outputs(net, run)
        totals = totals + values if number else values
        loss = single(loss + run.loss.item())
    outputs = described(net, run, totals / count) if run is not None else ()
    average = None
    if solver.param.test_compute_loss:
        with np.errstate(invalid="ignore"):
            average = float(np.float32(loss) / np.float32(count))
    solver.tell(Tested(solver.iter, index, average, outputs))


def _answer(solver: Solver) -> None:
    """Do what the outside asks, until it asks for nothing more."""
    while solver.poll and (request := solver.poll()) != Request.NONE:
        if request == Request.STOP:
            solver.stop()
            return
        solver.snapshot()


def share_weights(test: CaffeNet, train: CaffeNet) -> None:
    """Let ``test`` use the tensors of ``train``, by layer name; others of its layers keep theirs.

    Raises SolverError if a layer of the same name has other blobs.
    """
    steps = {step.name: step for step in reversed(test.steps)}
    test_params = test.params
    for name, blobs in train.params.items():
        step = steps.get(name)
        if step is None:
            continue
        own = test_params.get(name, [])
        shapes = [tuple(blob.shape) for blob in own]
        if shapes != [tuple(blob.shape) for blob in blobs]:
            raise SolverError(
                f'layer "{name}" of the test net has the blobs {_listed(own)}, that of the train '
                f"net {_listed(blobs)}; the test net takes its weights from it, so rename one"
            )
        module = test._step_modules()[test.steps.index(step)]
        assert module is not None
        for place, blob in zip(step.plan.blobs, blobs, strict=True):
            _put(test, module, place.attribute, blob)


def _listed(blobs: Sequence[Tensor]) -> str:
    return ", ".join(shape_text(blob.shape) for blob in blobs) or "none"


def _put(net: CaffeNet, module: torch.nn.Module, attribute: str, value: Tensor) -> None:
    holder, leaf = holder_of(module, attribute)
    if getattr(holder, leaf) is value:
        return
    net._views = [view for view in net._views if (view.holder, view.leaf) != (holder, leaf)]
    if not isinstance(value, torch.nn.Parameter):
        holder._parameters.pop(leaf, None)
    setattr(holder, leaf, value)


def flat_outputs(net: CaffeNet, run: Run) -> Tensor:
    """Every number of every output, in the outputs' order."""
    values = [run.blobs[name].detach().reshape(-1) for name in net.outputs]
    return torch.cat(values) if values else torch.zeros(0)


def described(net: CaffeNet, run: Run, values: Tensor) -> tuple[Output, ...]:
    """``values``, which are of the form of ``flat_outputs``, with their blobs' names."""
    weights = {
        top: weight
        for step in net.steps
        for top, weight in zip(step.tops, step.loss_weights, strict=True)
    }
    names = [name for name in net.outputs for _ in range(run.blobs[name].numel())]
    return tuple(
        Output(name, value, weights[name])
        for name, value in zip(names, values.tolist(), strict=True)
    )
