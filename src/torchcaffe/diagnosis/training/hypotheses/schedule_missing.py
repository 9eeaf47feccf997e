"""schedule-missing: the port's rate never changes, Caffe's does."""

from __future__ import annotations

from collections.abc import Iterator

from torchcaffe.diagnosis.training.schedules import Schedule, ScheduleCase
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "schedule-missing"
EXPERIMENT = "schedule"
ORDER = 2


def propose(case: ScheduleCase, schedule: Schedule) -> Iterator[Change]:
    """A fixed rate, if the port has no scheduler or one that does nothing in either unit."""
    if case.curve.breaks or schedule.policy == "fixed":
        return
    yours = "never moves the rate" if case.scheduler else "is not there"
    yield Change(
        IDENTIFIER,
        sets(policy="fixed"),
        f"Your scheduler {yours}: the rate stays {case.curve.first:g} to the end. {case.words()}",
        f'Caffe\'s lr_policy is "{case.caffe.policy}".',
        "torchcaffe.optim.CaffeLR(optimizer, ...) with the solver's own fields, stepped after "
        "each iteration",
        evidence={"rates": case.table()},
    )
