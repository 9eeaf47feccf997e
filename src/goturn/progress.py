"""How far some work is: a bar on a terminal, now and then a plain line in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

INTERVAL = 10.0
"""Seconds between the lines of a log."""


class Progress:
    """Shows progress while it is open as a context; on standard error, unless it is quiet.

    title    what is done
    total    how many parts it has, None if nobody knows
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        *,
        quiet: bool = False,
        console: Console | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self.quiet = quiet
        self.console = console or Console(stderr=True, highlight=False)
        self._interval = interval
        self._told = time.monotonic()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, note="")

    def __enter__(self) -> Progress:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def advance(self, note: str = "", parts: int = 1) -> None:
        """So many more parts are done; ``note`` says how it goes."""
        self.done += parts
        self._bar.update(self._task, advance=parts, note=note)
        now = time.monotonic()
        if self.quiet or self.console.is_terminal or now - self._told < self._interval:
            return
        self._told = now
        of = f" of {self.total}" if self.total is not None else ""
        text = f"{self.title}: {self.done}{of}  {note}".rstrip()
        self.console.print(text, markup=False, soft_wrap=True)
