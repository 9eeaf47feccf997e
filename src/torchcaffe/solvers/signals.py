"""Ctrl-C and SIGHUP as requests to a solver.

Caffe: ``src/caffe/util/signal_handler.cpp``, ``tools/caffe.cpp``.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from torchcaffe.solvers.events import Request

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Signals:
    """A context in which Ctrl-C and SIGHUP are kept until the solver asks, with ``poll``.

    sigint, sighup
        what a signal asks for.
    echo
        for so many seconds after a Ctrl-C, another is taken for the same: torchrun hands on to its
        processes what the terminal has sent them already.

    A second Ctrl-C before the run has answered the first, or has stopped, leaves at once, as
    KeyboardInterrupt. Where the effect is NONE, Ctrl-C does nothing at all, as in Caffe.
    """

    def __init__(
        self,
        sigint: Request = Request.STOP,
        sighup: Request = Request.SNAPSHOT,
        echo: float = 0.0,
    ) -> None:
        self.echo, self.latest = echo, -math.inf
        self.effects = {signal.SIGINT: sigint}
        if hasattr(signal, "SIGHUP"):
            self.effects[signal.SIGHUP] = sighup
        self.pending: set[int] = set()
        self.stopping = False
        self.before: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> Signals:
        """Take the signals over."""
        for number in self.effects:
            self.before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = number in self.pending or self.stopping
        if number == signal.SIGINT:
            now = time.monotonic()
            if again and now - self.latest < self.echo:
                return
            self.latest = now
        if number == signal.SIGINT and again and self.effects[signal.SIGINT] != Request.NONE:
            raise KeyboardInterrupt
        self.pending.add(number)

    def poll(self) -> Request:
        """What is asked for, once for each signal; SIGHUP comes before Ctrl-C."""
        for number in reversed(self.effects):
            if number in self.pending:
                self.pending.discard(number)
                request = self.effects[number]
                self.stopping |= request == Request.STOP
                return request
        return Request.NONE
