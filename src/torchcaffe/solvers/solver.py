"""The training loop.

Caffe: ``src/caffe/solver.cpp``, ``src/caffe/solvers/sgd_solver.cpp``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchcaffe.errors import InputError, SolverError
from torchcaffe.net import CaffeNet, Run
from torchcaffe.proto.nets import read_solver
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.proto.upgrade import upgrade_solver
from torchcaffe.random import Mersenne
from torchcaffe.solvers import events
from torchcaffe.solvers._single import single
from torchcaffe.solvers.batches import NetFeed, Source
from torchcaffe.solvers.checks import check_prefix, check_solver
from torchcaffe.solvers.debugging import Watch
from torchcaffe.solvers.distributed import Ranks, begin_together
from torchcaffe.solvers.events import Event, Listener, Request, Stop
from torchcaffe.solvers.losses import SmoothedLoss, first_non_finite
from torchcaffe.solvers.lr_policy import learning_rate
from torchcaffe.solvers.nets import NetSource, test_nets, train_net
from torchcaffe.solvers.overwriting import overwritten
from torchcaffe.solvers.param_groups import param_groups
from torchcaffe.solvers.resume import restore, save_snapshot
from torchcaffe.solvers.rules import make_optimizer
from torchcaffe.solvers.testing import described, flat_outputs, run_test
from torchcaffe.solvers.volatile import capture
from torchcaffe.weights import copy_weights, read_weights

Callback = Callable[[], None]


class Solver:
    """A training run, as the solver prototxt says and as Caffe does it.

    solver
        a solver prototxt, or its message. Paths in it start from the current folder.
    batches, test_batches
        where the inputs of the train net and of each test net come from: batches in order, or a
        function of the batch's number (from 0). A batch has an array or tensor for each input;
        every forward pass takes one, so ``iter_size`` of them make an iteration. A net without
        inputs needs none.
    inputs
        shapes of inputs by name, in place of the prototxts' or of data layers.
    listener
        is told what happens, as ``torchcaffe.solvers.events`` lists it.
    device, dtype
        where and in what the nets compute. ``solver_mode`` and ``device_id`` are not read.
    rng
        "caffe" draws dropout masks from Caffe's stream, "torch" from torch's generators.
    keep_going
        train on when the loss is not finite, as Caffe does; otherwise that is a SolverError which
        names the first blob that is not.
    allow_python
        let layers of type Python import and run the modules that the prototxts name.
    ranks
        the processes that train together (``torchcaffe.solvers.distributed``). A rank adds its
        number to ``random_seed``, and rank 0 alone tests and writes snapshots.
    poll
        is asked after every update, and before every batch of a test, what to do.

    Raises SolverError for what Caffe refuses, ParseError, NetError and WeightsError for its files.
    """

    def __init__(
        self,
        solver: str | PathLike[str] | SolverParameter,
        *,
        batches: Source | None = None,
        test_batches: Sequence[Source] | None = None,
        inputs: Mapping[str, Sequence[int]] | None = None,
        listener: Listener | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        rng: str = "caffe",
        keep_going: bool = False,
        allow_python: bool = False,
        ranks: Ranks | None = None,
        poll: Callable[[], Request] | None = None,
    ) -> None:
        self.param = (
            upgrade_solver(solver)
            if isinstance(solver, SolverParameter)
            else read_solver(fspath(solver))
        )
        check_solver(self.param)
        self.listener, self.poll, self.keep_going = listener, poll, keep_going
        self.ranks = ranks or Ranks()
        self.tell(events.Initializing(self.param))
        self.allow_python = allow_python
        self.rng, self.device = rng, torch.device(device)
        self.like = torch.empty(0, device=self.device, dtype=dtype)
        seed = self.param.random_seed
        # Caffe keeps 32 bits of the seed; a negative one means none.
        self.stream = Mersenne((seed + self.ranks.rank) % 2**32 if seed >= 0 else None)
        self.net = self._make_net(train_net(self.param), None, inputs)
        sources = test_nets(self.param)
        self.test_nets = [self._make_net(s, index, inputs) for index, s in enumerate(sources)]
        self.feeds = self._make_feeds(batches, test_batches)
        self.learnable = self.net.learnable
        begin_together(self)
        self.optimizer = make_optimizer(self.param, param_groups(self.net))
        self.history = self.optimizer.history([entry.value for entry in self.learnable])
        if self.param.snapshot_diff:
            values = [entry.value for entry in self.learnable]
            self.optimizer.updates = {value: torch.zeros_like(value) for value in values}
        self.overwritten = overwritten(self.net) if self.param.iter_size > 1 else []
        self.iter = 0
        self.current_step = 0
        self.loss = math.nan
        """The loss of the latest iteration, the mean over its batches."""
        self.outputs: dict[str, Tensor] = {}
        """The train net's outputs for the latest batch."""
        self.smoothed = SmoothedLoss(self.param.average_loss, 0)
        self.resumed: SmoothedLoss | None = None
        self.before_test: dict[str, Any] | None = None
        self.debugging = False
        self._stopping = False
        self._starting: list[Callback] = []
        self._gradients_ready: list[Callback] = []
        self.tell(events.Scaffolded())

    # Setting up

    def tell(self, event: Event) -> None:
        """Let the listener know."""
        if self.listener is not None:
            self.listener(event)

    def add_callback(
        self, on_start: Callback | None = None, on_gradients_ready: Callback | None = None
    ) -> None:
        """Have functions called before the forward pass, and before the update, of an iteration."""
        self._starting += [on_start] if on_start else []
        self._gradients_ready += [on_gradients_ready] if on_gradients_ready else []

    def _make_net(
        self, source: NetSource, test: int | None, inputs: Mapping[str, Sequence[int]] | None
    ) -> CaffeNet:
        self.tell(events.CreatingNet(test, source.field, source.file, source.param))
        net = CaffeNet(
            source.param,
            inputs=inputs,
            seed=self.stream,
            rng=self.rng,
            allow_python=self.allow_python,
        )
        self.tell(events.CreatedNet(test, net))
        for entry in self.param.weights:
            for file in entry.split(","):
                weights = read_weights(file.strip())
                own = {step.name for step in net.steps}
                ignored = [layer.name for layer in weights.layers if layer.name not in own]
                self.tell(events.Finetuning(file.strip(), tuple(ignored)))
                copy_weights(net, weights)
        return net.to(self.like)

    def _make_feeds(
        self, batches: Source | None, test_batches: Sequence[Source] | None
    ) -> list[NetFeed]:
        count = len(self.test_nets)
        tests: Sequence[Source | None] = test_batches or [None] * count
        if len(tests) != count:
            raise InputError(
                f"test_batches takes one source for each of the {count} test nets, got {len(tests)}"
            )
        nets = [("the train net", self.net, batches)]
        for index, (net, source) in enumerate(zip(self.test_nets, tests, strict=True)):
            nets.append((f"test net {index}", net, source))
        return [NetFeed(what, net, source) for what, net, source in nets]

    # Training

    @property
    def lr(self) -> float:
        """The rate of the iteration that comes next."""
        return learning_rate(self.param, self.iter, self.current_step)[0]

    def step(self, iterations: int) -> None:
        """Train for as many iterations, with the tests and snapshots that fall in between."""
        self._stopping = False
        self._step(iterations)

    def _step(self, iterations: int) -> None:
        self.smoothed = self.resumed or SmoothedLoss(self.param.average_loss, self.iter)
        self.resumed = None
        self._shown = (self.iter, time.perf_counter())
        stop = self.iter + iterations
        while self.iter < stop and not self._stopping:
            self._iteration()

    def solve(self, state: str | PathLike[str] | None = None) -> Stop:
        """Train to the end, on from ``state`` if there is one; say why it came back."""
        if self.param.snapshot_after_train:
            check_prefix(self.param)
        self.tell(events.Solving(self.net.name, self.param.lr_policy))
        self._stopping = False
        if state is not None:
            self.tell(events.Restoring(fspath(state)))
            self.restore(state)
        self._step(self.param.max_iter - self.iter)
        every = self.param.snapshot
        if self.param.snapshot_after_train and (not every or self.iter % every):
            self.snapshot()
        if not self._stopping:
            self._show_end()
        reason = Stop.REQUESTED if self._stopping else Stop.FINISHED
        self.tell(events.Stopped(reason))
        return reason

    def _show_end(self) -> None:
        """One more forward pass and test, for what they show."""
        if self.ranks.leads and _due(self.param.display, self.iter):
            watch = Watch(self.net, self.tell) if self.debugging else None
            with torch.no_grad(), watch.forward() if watch else nullcontext():
                run = self.net.run(self.feeds[0].next(self.like))
            self.smoothed.add(run.loss.item(), self.iter)
            self.tell(events.FinalLoss(self.iter, self.smoothed.value))
        if _due(self.param.test_interval, self.iter):
            self.test_all()
            self._stopping = False

    def _iteration(self) -> None:
        self.clear_gradients()
        at_start = self.iter == 0 and not self.param.test_initialization
        if _due(self.param.test_interval, self.iter) and not at_start:
            self.test_all()
            if self._stopping:
                return
        for callback in self._starting:
            callback()
        display = _due(self.param.display, self.iter)
        self.debugging = display and self.param.debug_info
        run = self._accumulate()
        self.smoothed.add(self.loss, self.iter)
        if display:
            self._display(run)
        if not self.param.layer_wise_reduce:
            self.ranks.average([entry.value for entry in self.learnable])
        for callback in self._gradients_ready:
            callback()
        self.apply_update()
        self._after_update()

    def clear_gradients(self) -> None:
        """Forget all gradients."""
        for param in self.net.parameters():
            param.grad = None

    def _accumulate(self) -> Run:
        """Forward and backward for each batch of the iteration; gradients add up."""
        total = 0.0
        watch = Watch(self.net, self.tell) if self.debugging else None
        for _ in range(self.param.iter_size):
            with watch.forward() if watch else nullcontext():
                run = self.net.run(self.feeds[0].next(self.like))
            loss = run.loss.item()
            if not math.isfinite(loss) and not self.keep_going:
                raise SolverError(
                    f"iteration {self.iter}: the loss is {loss:g}. "
                    f"{first_non_finite(self.net, run)}. The weights and snapshots were left as "
                    f"they are; keep_going (--keep-going) trains on"
                )
            for param in self.overwritten:
                param.grad = None
            if run.loss.requires_grad:
                run.loss.backward()  # type: ignore[no-untyped-call]
            if watch:
                watch.backward()
            if self.param.layer_wise_reduce:
                self.ranks.average([entry.value for entry in self.learnable])
            total = single(total + loss)
        self.loss = single(total / self.param.iter_size)
        self.outputs = {name: run.blobs[name].detach() for name in self.net.outputs}
        return run

    def _display(self, run: Run) -> None:
        last, start = self._shown
        now = time.perf_counter()
        outputs = described(self.net, run, flat_outputs(self.net, run))
        self.tell(
            events.Displayed(self.iter, self.smoothed.value, outputs, self.iter - last, now - start)
        )
        self._shown = (self.iter, now)

    def apply_update(self) -> None:
        """Update the weights with the gradients that are there, and count the iteration."""
        rate, step = learning_rate(self.param, self.iter, self.current_step)
        if self.param.lr_policy == "multistep" and step != self.current_step:
            self.tell(events.Stepped(self.iter, step))
        self.current_step = step
        if _due(self.param.display, self.iter):
            self.tell(events.Rated(self.iter, rate))
        for group in self.optimizer.param_groups:
            group["lr"], group["iter"] = rate, self.iter
        self.optimizer.step()
        if self.optimizer.clipped is not None:
            self.tell(self.optimizer.clipped)
        self.iter += 1
        self.tell(events.Updated(self.iter, self.loss, rate))

    def _after_update(self) -> None:
        asked = self.poll() if self.poll else Request.NONE
        request, self._stopping = self._agreed(asked)
        if _due(self.param.snapshot, self.iter) or request == Request.SNAPSHOT:
            self.snapshot()
        if request == Request.STOP:
            self.stop()

    def _agreed(self, request: Request) -> tuple[Request, bool]:
        """What a rank asks for and whether one is being left: all ranks do the same."""
        order = list(Request)
        asked, stopping = self.ranks.highest(order.index(request), int(self._stopping))
        return order[asked], bool(stopping)

    # Testing

    def test_all(self) -> None:
        """Test every test net."""
        if self.param.snapshot_format == "TORCH":
            self.before_test = capture(self)
        for index in range(len(self.test_nets)):
            if self.ranks.leads and not self._stopping:
                self.test(index)
        self.before_test = None
        _, self._stopping = self._agreed(Request.NONE)

    def test(self, index: int) -> None:
        """Share the weights with a test net and average its outputs over ``test_iter`` batches."""
        run_test(self, index)

    def stop(self) -> None:
        """Leave the run, or a test pass, as soon as an iteration or a batch is done."""
        self._stopping = True

    @property
    def stopping(self) -> bool:
        """Whether the run is being left."""
        return self._stopping

    # Snapshots

    def snapshot(self) -> Path:
        """Write a snapshot of ``snapshot_format`` and give the path of its state."""
        return save_snapshot(self)

    def restore(
        self, state: str | PathLike[str], *, model: str | PathLike[str] | None = None
    ) -> None:
        """Go on from a state: .solverstate, .solverstate.h5 or .torchstate.

        The weights are those of the state's ``learned_net``, a path from the current folder, unless
        ``model`` names others. Only a .torchstate puts back the random streams and the data as
        well. Raises SolverError for the state of another net, ParseError for no state at all.
        """
        restore(self, Path(state), None if model is None else Path(model))


def _due(every: int, iteration: int) -> bool:
    return bool(every) and iteration % every == 0
