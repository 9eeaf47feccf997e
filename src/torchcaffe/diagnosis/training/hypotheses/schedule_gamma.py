"""schedule-gamma: the rate falls by another factor, or along another power."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from torchcaffe.diagnosis.training.schedules import Schedule, ScheduleCase
from torchcaffe.diagnosis.training.search import Change, sets

IDENTIFIER = "schedule-gamma"
EXPERIMENT = "schedule"
ORDER = 0


def propose(case: ScheduleCase, schedule: Schedule) -> Iterator[Change]:
    """The gamma, or the power, that the port's rates show under the schedule's unit."""
    for field, value in _shown(case, schedule):
        now = getattr(schedule, field)
        value = float(f"{value:.6g}")
        if not np.isfinite(value) or abs(value - now) <= 1e-6 * max(abs(now), abs(value)):
            continue
        yield Change(
            IDENTIFIER,
            sets(**{field: value}),
            f"Your {field} is {value:g}. {case.words()}",
            f"Caffe's {field} is {now:g}.",
            f"the scheduler with gamma={now:g}" if field == "gamma" else f"power {now:g}",
            evidence={"port": value, "caffe": now, "rates": case.table()},
        )


def _shown(case: ScheduleCase, schedule: Schedule) -> Iterator[tuple[str, float]]:
    rates, count = case.curve.rates, len(case.curve.rates)
    if schedule.policy in ("step", "multistep") and case.curve.breaks:
        first = case.curve.breaks[0]
        yield "gamma", float(rates[first] / rates[first - 1])
        return
    place = min(count - 1, max(schedule.unit, count // 2))
    n = place // schedule.unit * (schedule.unit if schedule.stairs else 1)
    rate = float(rates[place])
    if n <= 0 or rate <= 0 or rate == 1:
        return
    if schedule.policy == "exp":
        yield "gamma", rate ** (1 / n)
    elif schedule.policy == "inv":
        yield "gamma", (rate ** (-1 / schedule.power) - 1) / n
        yield "power", -float(np.log(rate) / np.log1p(schedule.gamma * n))
    elif schedule.policy == "poly":
        yield "power", float(np.log(rate) / np.log1p(-n / schedule.max_iter))
