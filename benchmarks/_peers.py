"""Run us and a peer in turn and print the ratio of their times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def in_turn(
    runs: Mapping[str, Callable[[], Any]],
    *,
    rounds: int,
    peer: str,
    warm_up: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Medians of the rounds' ratios to ``peer``; prints a line for each run.

    Each round runs everything once, so that a disturbance of the machine meets all of them.
    ``clock`` gives seconds: time.process_time leaves out what other processes took.
    """
    for run in runs.values():
        for _ in range(warm_up):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    ratios = {}
    for name, values in seconds.items():
        pairs = zip(values, seconds[peer], strict=True)
        ratios[name] = statistics.median(mine / theirs for mine, theirs in pairs)
        print(
            f"  {name:<28} median {statistics.median(values) * 1e3:9.2f} ms   "
            f"{ratios[name]:5.2f} of {peer}",
            flush=True,
        )
    return ratios
