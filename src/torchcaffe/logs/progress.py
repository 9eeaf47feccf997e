"""A progress bar for a terminal: how far a run is, its loss, rate and speed, and the time left."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from torchcaffe.logs.glog import number
from torchcaffe.logs.measures import unique
from torchcaffe.solvers import events
from torchcaffe.solvers.events import Event, Output

INTERVAL = 0.1
"""Seconds between two looks of the bar."""


class ProgressBar:
    """A listener that shows a bar while it is open as a context; tests and snapshots go above it.

    console
        where to; standard error unless another is given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  lr {task.fields[lr]}  {task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.task = self.bar.add_task("building", total=None, loss="", lr="", speed="", start=False)
        self.average: float | None = None
        self.latest: events.Updated | None = None
        self.drawn = 0.0

    def __enter__(self) -> ProgressBar:
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case events.Initializing(param):
                self.bar.update(self.task, total=param.max_iter)
            case events.Restored(_, iteration):
                self.bar.update(self.task, completed=iteration)
            case events.Solving(net, _):
                self.bar.start_task(self.task)
                self.bar.update(self.task, description=net or "training")
            case events.Displayed(loss=loss):
                self.average = loss
            case events.Updated():
                self.latest = event
                if time.perf_counter() - self.drawn > INTERVAL:
                    self._advance(event)
            case events.Tested():
                self._say(f"iteration {event.iteration}, test{_number(event.test)}: {_text(event)}")
            case events.Snapshotting("state", path):
                self._say(f"snapshot {path}")
            case events.TestInterrupted():
                self._say("test interrupted")
            case events.Stopped(reason):
                if self.latest is not None:
                    self._advance(self.latest)
                self._say(reason.value)

    def _advance(self, event: events.Updated) -> None:
        self.drawn = time.perf_counter()
        loss = event.loss if self.average is None else self.average
        task = self.bar.tasks[self.task]
        speed = f"{task.speed:.3g} it/s" if task.speed else ""
        self.bar.update(
            self.task,
            completed=event.iteration,
            loss=number(loss),
            lr=number(event.lr),
            speed=speed,
        )

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _number(test: int) -> str:
    return f" {test}" if test else ""


def _text(event: events.Tested) -> str:
    outputs: tuple[Output, ...] = event.outputs
    names = unique([output.blob for output in outputs])
    values = [f"{n} = {number(o.value)}" for n, o in zip(names, outputs, strict=True)]
    values += [f"loss = {number(event.loss)} in all"] if event.loss is not None else []
    return ", ".join(values)
