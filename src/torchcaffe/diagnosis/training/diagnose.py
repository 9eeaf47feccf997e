"""All that a port's training can be compared in, one experiment after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from torchcaffe.diagnosis.findings import Cause, Place, Unexplained
from torchcaffe.diagnosis.training import gradients, schedules, updates
from torchcaffe.diagnosis.training.batch_sizes import batch_size_cause, losses_of_sizes, said
from torchcaffe.diagnosis.training.cases import UpdateCase
from torchcaffe.diagnosis.training.dropouts import Dropouts
from torchcaffe.diagnosis.training.gradients import GradientCase, GradientTrial
from torchcaffe.diagnosis.training.hypotheses import hypotheses, identifiers
from torchcaffe.diagnosis.training.initial import initial_causes
from torchcaffe.diagnosis.training.modes import dropout_causes, observe_modes, statistics_causes
from torchcaffe.diagnosis.training.preserve import preserved
from torchcaffe.diagnosis.training.protocol import TrainingPort, training_port
from torchcaffe.diagnosis.training.recipe import Recipe, decimal
from torchcaffe.diagnosis.training.reference import Reference
from torchcaffe.diagnosis.training.run_port import Runner
from torchcaffe.diagnosis.training.sampling import compare_samples, sampling_cause
from torchcaffe.diagnosis.training.search import Explanation, explain
from torchcaffe.diagnosis.training.side_by_side import CLASS as TOGETHER
from torchcaffe.diagnosis.training.side_by_side import Batches, Together, side_by_side, story
from torchcaffe.diagnosis.training.trials import Trials
from torchcaffe.solvers.lr_policy import learning_rate

OTHERS = {
    "batch-size": "A batch has another number of examples than Caffe's.",
    "batchnorm-momentum": "Running statistics move at another pace than Caffe's.",
    "batchnorm-train-mode": "Running statistics stand still, or the batch's own are not used.",
    "batchnorm-updates-frozen": "Running statistics move where Caffe's are frozen.",
    "dropout-active": "Dropout is active, or not, where it is the other way around in Caffe.",
    "dropout-ratio": "Dropout leaves out another part than Caffe's.",
    "filler-fan": "Initial weights spread as another count of inputs or outputs has it.",
    "filler-kind": "Initial weights follow another law than Caffe's filler.",
    "random-stream": "The same law, other draws: no defect.",
    "sampling-law": "Examples are not distributed as the reference's.",
}
"""Causes that are read off directly, without a search."""

PATIENCE = 5.0
"""Seconds for which a step is repeated to see what it does to the rate."""

DROPOUTS = {"dropout-active", "dropout-ratio"}
"""Causes that a run with masks does not make in the reference."""


@dataclass
class TrainingDiagnosis:
    """What was found, what was looked at, and what could not be."""

    causes: list[Cause] = field(default_factory=list)
    unexplained: list[Unexplained] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    gradients_differ: Unexplained | None = None
    """The one of ``unexplained`` that is about gradients."""

    @property
    def identifiers(self) -> list[str]:
        """The causes by name, each once; those that are no defect left out."""
        return list(dict.fromkeys(c.identifier for c in self.causes if not c.harmless))


def diagnose_training(
    port: TrainingPort,
    reference: Reference,
    *,
    build: Callable[[], Any] | None = None,
    loaded: Sequence[str] = (),
    iterations: int | None = None,
    tell: Callable[[str], None] = lambda what: None,
) -> TrainingDiagnosis:
    """Compare a port's training with a solver's; the port is left as it was.

    build
        the port's callable itself: initial weights are compared by building it again.
    loaded
        layers whose weights come from a file, so that fillers do not matter.
    iterations
        how many are run side by side; by default 6, and of nets that take long 3.
    tell
        is told what is being looked at.
    """
    return _Diagnosing(port, reference, iterations, tell).all(build, loaded)


class _Diagnosing:
    """One diagnosis, as it goes on."""

    def __init__(
        self,
        port: TrainingPort,
        reference: Reference,
        iterations: int | None,
        tell: Callable[[str], None],
    ) -> None:
        self.port, self.reference, self.tell = port, reference, tell
        self.runner = Runner(port, reference)
        usual = 3 if reference.heavy else 6
        self.iterations = usual if iterations is None else iterations
        self.found = TrainingDiagnosis()
        self.caffe = reference.recipe()
        if not self.runner.steps:  # each batch is looked at alone
            self.caffe = self.caffe.change(iter_size=1)
        self.recipe = self.caffe
        self.rates: schedules.Some = [1.0] * 1000
        self.trials = Trials(self.runner, self.caffe, reference.trial_size())
        self.known = len(set(identifiers()) | set(OTHERS))

    def all(self, build: Callable[[], Any] | None, loaded: Sequence[str]) -> TrainingDiagnosis:
        """Every experiment that the port gives enough for."""
        self._unpaired()
        if self._whole():
            trials = self._trials()
            self._modes()
            self._gradients(trials)
        if self.port.optimizer is not None:
            self._updates()
            self._schedule()
        else:
            self.found.notes.append(
                "No optimizer was given: rates, decay, update rule and schedule are not compared."
            )
        self._together()
        self._batch_size()
        if build is not None:
            self._initial(build, loaded)
        self._samples()
        return self.found

    def _unpaired(self) -> None:
        names = {pair.name for pair in self.reference.pairs}
        left = [name for name, _ in self.port.model.named_parameters() if name not in names]
        blobs = {pair.blob for pair in self.reference.pairs}
        missing = [blob for blob in self.caffe.rates if blob not in blobs]
        statistics = {entry.layer for entry in self.reference.statistics}
        missing = [blob for blob in missing if blob.rpartition("/")[0] not in statistics]
        if left or missing:
            self.found.notes.append(
                f"Not compared, as no counterpart was found: parameters {', '.join(left) or 'none'}"
                f"; blobs {', '.join(missing) or 'none'}."
            )

    def _whole(self) -> bool:
        """Whether a batch can go through the port; a note if not."""
        if not self.runner.runs:
            self.found.notes.append(
                "Neither a loss nor a step (with its optimizer) was given: losses and gradients "
                "are not compared."
            )
        for size in dict.fromkeys((self.trials.size, self.reference.batch_size)):
            try:
                with preserved(self.port), torch.no_grad():
                    self.runner.forward(self.trials.batch(0, size))
            except Exception as error:
                failed = error
                continue
            self.trials.size = size
            return True
        self.found.notes.append(
            f"The model does not run on the train net's inputs ({type(failed).__name__}: {failed}):"
            f" gradients, dropout and statistics are not compared."
        )
        return False

    # Gradients

    def _trials(self) -> list[GradientTrial]:
        """What the port makes of some batches."""
        if not self.runner.runs:
            return []
        self.tell("gradients")
        found = self.trials.run()
        self.found.causes += self.trials.causes
        self.found.notes += self.trials.notes
        return found

    def _gradients(self, trials: list[GradientTrial]) -> None:
        if not trials:
            return
        if self.reference.large and self.caffe.clip.form != "none":
            self.found.notes.append(
                "Clipping needs all gradients of a net, and this one is too large to keep them: "
                "gradients are not compared."
            )
            return
        exactly = gradients.CLASS if self.runner.dtype == torch.float64 else gradients.COARSE
        case = GradientCase(trials, self.reference, self.caffe, self.port, exactly)
        explanation = explain(self.caffe, case, hypotheses("gradients"), case.residual)
        self._take(explanation, "losses and gradients, over batches and updates")
        if not explanation.left.exact:
            blob = case.residual(self.caffe).first
            self._unexplained(blob, explanation)
            self.found.gradients_differ = self.found.unexplained[-1]

    def _modes(self) -> None:
        self.tell("dropout and running statistics")
        try:
            modes = observe_modes(self.runner, self.reference, self.trials.batch(0))
        except Exception as error:
            self.found.notes.append(f"Dropout and statistics are not compared: {error}")
            return
        self.found.compared.append("which dropouts drop, and what running statistics do")
        self.found.causes += dropout_causes(modes, self.runner)
        self.found.causes += statistics_causes(modes, self.reference, self.runner)

    # Updates and schedule

    def _updates(self) -> None:
        self.tell("updates")
        assert self.port.optimizer is not None
        trial = updates.observe_updates(self.port, self.reference.pairs)
        solver = self.reference.solver
        base = self._base_lr()
        case = UpdateCase(
            trial,
            self.caffe,
            base,
            decimal(solver.weight_decay),
            self.reference.pairs,
            self.port.optimizer,
        )
        start = replace(self.recipe, rates=self.caffe.rates)
        explanation = explain(
            start, case, hypotheses("updates"), lambda recipe: updates.residual(trial, recipe)
        )
        self._take(explanation, "the update rule, rates and decay of every parameter")
        if not explanation.left.exact:
            blob = updates.residual(trial, start).at[0]
            self._unexplained(blob, explanation)

    def _base_lr(self) -> float:
        return decimal(learning_rate(self.reference.solver, 0, 0)[0])

    def _port_base(self) -> float:
        """The base rate that the port's updates showed."""
        for cause in self.found.causes:
            if cause.identifier == "base-lr":
                return float(cause.evidence["port"])
        return self._base_lr()

    def _schedule(self) -> None:
        self.tell("schedule")
        self._interval()
        solver, port = self.reference.solver, self.port
        if port.scheduler_interval == "epoch" and not port.iterations_per_epoch:
            self.found.notes.append(
                "The scheduler is stepped once an epoch, but iterations_per_epoch is not given: "
                "the schedule is not compared."
            )
            return
        if solver.max_iter <= 0:
            self.found.notes.append("The solver has no max_iter: the schedule is not compared.")
            return
        count = min(solver.max_iter, schedules.LONGEST)
        if port.scheduler is None and self.runner.steps and not self._rates_of_steps(count):
            return
        curve = schedules.observe_schedule(port, count, self._port_base())
        self.rates = curve.rates
        caffe = schedules.caffe_schedule(solver)
        case = schedules.ScheduleCase(
            curve,
            caffe,
            self._base_lr(),
            port.iterations_per_epoch,
            port.scheduler_interval or "iteration",
            type(port.scheduler).__name__ if port.scheduler is not None else "",
        )
        explanation = explain(
            caffe, case, hypotheses("schedule"), lambda s: schedules.residual(curve, s)
        )
        self._take(explanation, f"the rates of {count:,} iterations", keep=False)
        if not explanation.left.exact:
            self._unexplained("", explanation)
        self._same_here(bool(curve.breaks))

    def _rates_of_steps(self, count: int) -> bool:
        """Whether a step without a scheduler was seen to keep the rate; notes if not."""
        theirs = schedules.caffe_schedule(self.reference.solver).rates(count)
        changed = [int(n) for n in (theirs != theirs[0]).nonzero()[0][:1]]
        if not changed:
            return True
        batch, until = self.trials.batch(0, 2), changed[0] + 2
        with preserved(self.port, self.runner.dtype), Dropouts():
            rates = self.runner.rates(batch, until, PATIENCE)
        if len(rates) < until:
            self.found.notes.append(
                f"The step may change the rate by itself, and running it up to iteration "
                f"{changed[0]:,}, where Caffe's changes, would take too long: the schedule is not "
                f"compared. Give the scheduler, if there is one."
            )
            return False
        moves = any(abs(rate - rates[0]) > schedules.CLASS * abs(rates[0]) for rate in rates)
        if moves:
            parts = [abs(a / rates[0] - b / theirs[0]) for a, b in zip(rates, theirs, strict=False)]
            same = max(parts) <= schedules.CLASS
            self.found.notes.append(
                f"The step changes the rate by itself, up to iteration {until:,} "
                f"{'as' if same else 'otherwise than'} Caffe's schedule does; what comes later is "
                f"not compared. A scheduler would show it."
            )
        return not moves

    def _interval(self) -> None:
        """Find out how often the scheduler is stepped, where nobody says."""
        port = self.port
        if port.scheduler is None or port.scheduler_interval:
            return
        if port.iterations_per_epoch:
            interval = "epoch"
        else:
            interval = "iteration"
            self.found.notes.append(
                "How often the scheduler is stepped was not said (scheduler_interval): it was "
                "taken to be once an iteration."
            )
        if self.runner.steps and self._steps_the_scheduler():
            interval = "iteration"
        self.port = self.runner.port = replace(port, scheduler_interval=interval)

    def _steps_the_scheduler(self) -> bool:
        before = getattr(self.port.scheduler, "last_epoch", None)
        try:
            with preserved(self.port, torch.float64):
                self.runner.updates([self.trials.batch(0)], 1)
                return bool(getattr(self.port.scheduler, "last_epoch", None) != before)
        except Exception:  # said where the updates are compared
            return False

    def _same_here(self, port_moves: bool) -> None:
        """A rate outside of the momentum makes no difference while the rate stays."""
        solver = self.reference.solver
        rates = schedules.caffe_schedule(solver).rates(min(solver.max_iter, schedules.LONGEST))
        if port_moves or bool((rates != rates[0]).any()):
            return
        for cause in list(self.found.causes):
            if cause.identifier == "momentum-form" or (
                cause.identifier == "nesterov-form"
                and self.recipe.rule.kind == self.caffe.rule.kind
            ):
                self.found.causes.remove(cause)
                self.found.notes.append(
                    f"{cause.identifier}: the same here. {cause.code} {cause.caffe} The rate of "
                    f"this solver never changes, so that the numbers are the same."
                )

    # The rest

    def _batch_size(self) -> None:
        iter_size = self.reference.solver.iter_size
        if not self.runner.steps:
            self.recipe = self.recipe.change(iter_size=self.port.accumulate or 1)
        if not self.port.batch_size:
            return
        if not self.runner.steps and self.recipe.iter_size != iter_size:
            self.found.causes += said(self.recipe.iter_size, iter_size)
        sizes = self.port.batch_size, self.reference.batch_size
        cause = batch_size_cause(
            *sizes,
            self.recipe,
            iter_size,
            losses_of_sizes(self.runner, sizes) if sizes[0] != sizes[1] else None,
        )
        self.found.compared.append("batch size")
        if cause is not None:
            self.found.causes.append(cause)
        elif self.port.batch_size != self.reference.batch_size:
            both = [c for c in self.found.causes if c.identifier == "iter-size"]
            self.found.causes = [c for c in self.found.causes if c not in both]
            self.found.notes.append(
                f"batch-size and iter-size: the same here. {self.recipe.iter_size} batches of "
                f"{self.port.batch_size} are as many samples as Caffe's, and their average is the "
                f"same."
            )

    def _initial(self, build: Callable[[], Any], loaded: Sequence[str]) -> None:
        self.tell("initial weights")

        def model() -> nn.Module:
            return training_port(build()).model

        self.found.causes += initial_causes(model, self.reference.net, self.reference.pairs, loaded)
        self.found.compared.append("initial weights against the fillers' laws")

    def _samples(self) -> None:
        if self.port.dataset is None or self.port.reference_dataset is None:
            return
        self.tell("samples")
        tests = compare_samples(self.port.dataset, self.port.reference_dataset)
        self.found.causes.append(sampling_cause(tests))
        self.found.compared.append("samples against the reference sampler's")

    def _together(self) -> None:
        """Both trained side by side, Caffe by its own recipe and by the explained one."""
        usable = self.runner.runs and self.port.optimizer is not None and self.iterations > 0
        usable = usable and self.runner.dtype == torch.float64
        wrong = {cause.identifier for cause in self.found.causes}
        if not usable or self.found.unexplained:
            return
        if any("not compared there" in note for note in self.found.notes):
            return
        self.tell("side by side")
        count = self.iterations * max(self.recipe.iter_size, 1)
        batches = [self.trials.batch(100 + n) for n in range(count)]
        for words, masks in (("dropout off", None), ("Caffe's masks injected", 1701)):
            if masks is not None and (wrong & DROPOUTS or not self._has_dropout()):
                continue
            try:
                plain = self._run(self.caffe, batches, masks, [1.0] * count)
                explained = plain
                if self.recipe != self.caffe or any(rate != 1 for rate in self.rates[:count]):
                    explained = self._run(self.recipe, batches, masks, self.rates)
            except Exception as error:
                self.found.notes.append(f"Not run side by side ({type(error).__name__}: {error}).")
                return
            self._tell_together(words, explained, plain)

    def _run(
        self,
        recipe: Recipe,
        batches: Batches,
        masks: int | None,
        rates: schedules.Some,
    ) -> Together:
        return side_by_side(self.runner, self.reference, recipe, batches, rates, masks)

    def _has_dropout(self) -> bool:
        return any(step.kind.name == "Dropout" for step in self.reference.net.steps)

    def _tell_together(self, words: str, explained: Together, plain: Together) -> None:
        count = len(plain.gaps)
        self.found.notes.append(f"{count} batches side by side, {words}: {story(explained, plain)}")
        self.found.compared.append(f"{count} batches side by side, {words}")
        if explained.worst > TOGETHER and explained is plain:
            self.found.unexplained.append(
                Unexplained((), Place("training"), explained.gap, 0, self.known)
            )

    def _take(self, explanation: Explanation, what: str, keep: bool = True) -> None:
        self.found.causes += explanation.causes
        self.found.compared.append(what)
        if keep and explanation.left.exact:
            self.recipe = explanation.recipe

    def _unexplained(self, blob: str, explanation: Explanation) -> None:
        names = {pair.blob: pair.name for pair in self.reference.pairs}
        layer = blob.rpartition("/")[0]
        self.found.unexplained.append(
            Unexplained(
                (layer,) if layer else (),
                Place(names.get(blob, "the schedule")),
                explanation.left.gap,
                explanation.tried,
                self.known,
            )
        )
