"""Running a tracker over sequences, into result files; what is there already is not run again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Ordered
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import torch

from goturn.box import Box
from goturn.errors import DataError, GoturnError
from goturn.evaluate.metrics import region_overlap
from goturn.evaluate.protocol import truth
from goturn.evaluate.results import BASELINE, FAILURE, PASSED_OVER, START, Record, Results
from goturn.sequence import Image, Sequence

XYWH = tuple[float, float, float, float]

WAIT = 5
"""A tracker starts again so many frames after the one in which its overlap was 0."""
REPETITIONS = 15
ENOUGH_IDENTICAL = 3
"""So many identical repetitions show that a tracker is deterministic, and are the last."""


class Tracker(Protocol):
    """What is run: ``goturn.Tracker``, or anything else with its interface."""

    def init(self, image: Image, box: XYWH, /) -> object:
        """Begin with an object at x, y, width, height."""

    def update(self, image: Image, /) -> tuple[bool, Ordered[float]]:
        """Whether the object is still there, and its x, y, width, height."""


@dataclass(frozen=True)
class Finished:
    """One sequence that was run, or was there already."""

    sequence: Sequence
    seconds: float
    """Spent in the tracker; 0 if all of it was there already."""
    repetitions: int


def run(
    make_tracker: Callable[[], Tracker],
    sequences: Ordered[Sequence],
    folder: str | os.PathLike[str],
    *,
    kind: str = "one-pass",
    deterministic: bool = False,
    jobs: int = 1,
    made_by: Mapping[str, Any] | None = None,
) -> Iterator[Finished]:
    """Run a tracker over sequences; each is yielded when its result files are written.

    make_tracker
        called once in each process; with several jobs it must be importable (a class or function
        of a module, not a lambda)
    kind
        "one-pass": from the first box to the last frame. "baseline": with re-initialisation, as
        VOT2014 does it: 5 frames after an overlap of 0 the tracker starts again.
    deterministic
        whether one repetition tells all. Otherwise "baseline" repeats each sequence 15 times, and
        stops after 3 that are the same. "one-pass" is never repeated.
    made_by
        what identifies the tracker. Noted in the folder; results that something else made are
        refused (DataError) and not mixed with these.

    Raises DataError for an image that cannot be read and a sequence without a first box; what was
    written until then is whole, and not run again the next time.
    """
    results = Results(Path(folder))
    for sequence in sequences:
        if not sequence.boxes or sequence.boxes[0] is None:
            raise DataError(f"{sequence.name} has no box in its first frame to begin with")
    results.claim(made_by or {})
    work = _Work(results, kind, deterministic)
    if jobs == 1:
        tracker = make_tracker()
        for sequence in sequences:
            yield Finished(sequence, *work(tracker, sequence))
        return
    longest_first = sorted(sequences, key=len, reverse=True)
    with _pool(jobs, make_tracker) as pool:
        futures = {pool.submit(_in_worker, work, each): each for each in longest_first}
        for future in as_completed(futures):
            yield Finished(futures[future], *future.result())


@dataclass(frozen=True)
class _Work:
    results: Results
    kind: str
    deterministic: bool

    def __call__(self, tracker: Tracker, sequence: Sequence) -> tuple[float, int]:
        """The seconds spent in the tracker, and the repetitions that there are."""
        spent, repetition = 0.0, 0
        while not self._is_enough(sequence, repetition):
            repetition += 1
            if self.results.has(sequence, self.kind, repetition):
                continue
            track = reinitialised if self.kind == BASELINE else one_pass
            records, seconds = track(tracker, sequence)
            self.results.write(sequence, self.kind, records, seconds, repetition)
            spent += sum(value for value in seconds if value > 0)
        return spent, repetition

    def _is_enough(self, sequence: Sequence, done: int) -> bool:
        if self.kind != BASELINE or self.deterministic:
            return done == 1
        if done == ENOUGH_IDENTICAL and self.results.repetitions(sequence) == done:
            return self.results.identical(sequence)
        return done == REPETITIONS


def one_pass(tracker: Tracker, sequence: Sequence) -> tuple[list[Record], list[float]]:
    """Track from the first box to the last frame: the box and the seconds of each frame.

    The first box is the given one. Seconds are those in ``init`` and ``update``; reading the image
    is not among them.
    """
    records: list[Record] = []
    seconds = []
    for index in range(len(sequence)):
        image = sequence.image(index)
        with _named(sequence, index):
            record, spent = _step(tracker, image, sequence.boxes[0] if index == 0 else None)
        records.append(record)
        seconds.append(spent)
    return records, seconds


def reinitialised(tracker: Tracker, sequence: Sequence) -> tuple[list[Record], list[float]]:
    """Track with re-initialisation: a record and the seconds (NaN if passed over) of each frame.

    After a frame in which the box and the truth have no overlap inside the image, four frames are
    passed over and the tracker starts again with the truth's box in the fifth, or in the next that
    has one. A frame without a truth cannot fail.
    """
    records: list[Record] = []
    seconds = []
    start: int | None = 0
    for index in range(len(sequence)):
        box = sequence.boxes[index]
        if start is not None and (index < start or box is None):
            records.append(PASSED_OVER)
            seconds.append(float("nan"))
            continue
        image = sequence.image(index)
        with _named(sequence, index):
            record, spent = _step(tracker, image, None if start is None else box)
        if start is not None:
            record, start = START, None
        elif box is not None and _missed(sequence, index, record, image):
            record, start = FAILURE, index + WAIT
        records.append(record)
        seconds.append(spent)
    return records, seconds


def _missed(sequence: Sequence, index: int, record: Record, image: Image) -> bool:
    size = (image.shape[1], image.shape[0])
    return region_overlap(truth(sequence, index), record, size) <= 0


def _step(tracker: Tracker, image: Image, start: Box | None) -> tuple[Record, float]:
    """The box after one frame, and the seconds; ``start`` is where to begin, if this begins."""
    before = time.perf_counter()
    if start is not None:
        tracker.init(image, start.to_xywh())
        return start.to_xywh(), time.perf_counter() - before
    answer = tracker.update(image)
    spent = time.perf_counter() - before
    try:
        _, (x, y, width, height) = answer
        return (float(x), float(y), float(width), float(height)), spent
    except (TypeError, ValueError):
        raise GoturnError(
            f"update should return (ok, (x, y, width, height)), and returned {answer!r}"
        ) from None


@contextmanager
def _named(sequence: Sequence, index: int) -> Iterator[None]:
    """Say in which frame a tracker refused something."""
    try:
        yield
    except GoturnError as error:
        raise type(error)(f"{sequence.name}, frame {index + 1}: {error}") from None


@contextmanager
def _pool(jobs: int, make_tracker: Callable[[], Tracker]) -> Iterator[ProcessPoolExecutor]:
    """Processes with a tracker each; what has not begun is dropped when something goes wrong."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (make_tracker, threads))
    try:
        yield pool
    except BrokenProcessPool:
        raise GoturnError(
            "a process ended before its sequence did; it may have run out of memory, fewer jobs "
            "need less. What was finished is kept"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_make_tracker: Callable[[], Tracker]


def _begin(make_tracker: Callable[[], Tracker], threads: int) -> None:
    # Ctrl-C reaches every process of a terminal; the parent alone speaks of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)
    global _make_tracker
    _make_tracker = make_tracker


@cache
def _own_tracker() -> Tracker:
    """This process's tracker, made for its first sequence, so that a refusal reaches the parent."""
    return _make_tracker()


def _in_worker(work: _Work, sequence: Sequence) -> tuple[float, int]:
    return work(_own_tracker(), sequence)
