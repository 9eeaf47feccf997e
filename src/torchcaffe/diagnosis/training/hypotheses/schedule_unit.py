"""schedule-unit: epochs counted where Caffe counts iterations, or other lengths of its steps."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.schedules import Schedule, ScheduleCase
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "schedule-unit"
EXPERIMENT = "schedule"
ORDER = 1


def propose(case: ScheduleCase, schedule: Schedule) -> Iterator[Change]:
    """The numbers as they are in the other unit; then the lengths that the rates show."""
    if schedule != case.caffe and (
        schedule.unit != 1 or _lengths(schedule) != _lengths(case.caffe)
    ):
        return
    for words, values in _changes(case, schedule):
        yield Change(
            IDENTIFIER,
            sets(**values),
            f"{words} {case.words()}",
            f'Caffe counts iterations: lr_policy "{case.caffe.policy}"{_length_words(case.caffe)}.',
            "torchcaffe.optim.CaffeLR(optimizer, ...) with the solver's own fields, and "
            "scheduler.step() after each iteration instead of each epoch",
            evidence={"rates": case.table(), "iterations_per_epoch": case.epoch},
        )


def _lengths(schedule: Schedule) -> tuple[object, ...]:
    return schedule.stepsize, schedule.stepvalue


def _length_words(schedule: Schedule) -> str:
    if schedule.policy == "step":
        return f", stepsize {schedule.stepsize:,}"
    if schedule.policy == "multistep":
        return f", stepvalue {', '.join(f'{value:,}' for value in schedule.stepvalue)}"
    return f", of {schedule.max_iter:,} iterations"


def _changes(case: ScheduleCase, schedule: Schedule) -> Iterator[tuple[str, dict[str, object]]]:
    epoch, breaks = case.epoch, case.curve.breaks
    by_epoch = case.interval == "epoch" and epoch is not None
    if by_epoch and case.scheduler:
        yield (
            f"Your {case.scheduler} is stepped once an epoch ({epoch:,} iterations) with numbers "
            f"that mean iterations.",
            {"unit": epoch},
        )
        yield (
            f"Your {case.scheduler} is stepped once an epoch: the rate stays the same for "
            f"{epoch:,} iterations and then jumps.",
            {"unit": epoch, "stairs": True},
        )
    if not breaks:
        return
    if schedule.policy == "step":
        length = breaks[0]
        count = length // epoch if epoch else 0
        counted = f": {count:,} epoch{'s' * (count > 1)} of {epoch:,}" if by_epoch else ""
        yield (
            f"Your rate falls every {length:,} iterations{counted}.",
            {"stepsize": length},
        )
    elif schedule.policy == "multistep":
        yield (
            f"Your rate falls at iterations {', '.join(f'{place:,}' for place in breaks[:6])}.",
            {"stepvalue": tuple(breaks)},
        )
    elif not by_epoch and epoch:
        yield (
            f"Your {case.scheduler} is stepped once an iteration with numbers that mean epochs "
            f"of {epoch:,}.",
            {"max_iter": max(1, schedule.max_iter // epoch)},
        )
