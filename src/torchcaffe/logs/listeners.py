"""The listeners of a run on the command line: what a person sees, and what a folder keeps."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from torchcaffe.logs.caffe_log import CaffeLog
from torchcaffe.logs.files import ROWS, JsonLines, prepare_folder, tensorboard
from torchcaffe.logs.glog import Line, LogWriter
from torchcaffe.logs.measures import Measures
from torchcaffe.logs.progress import ProgressBar
from torchcaffe.solvers import events
from torchcaffe.solvers.events import Event, Listener

LOG = "train.log"
"""The name of the file of Caffe's lines in a log folder."""


def several(*listeners: Listener) -> Listener:
    """One listener that tells each event to all of ``listeners``, in their order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


class Logging:
    """A context and the listener of a run.

    On a terminal it shows a progress bar, otherwise Caffe's lines, both on standard error.

    folder
        where to keep the rows as JSON lines, TensorBoard events and Caffe's lines, if anywhere.
    resuming
        whether the folder may hold what an earlier part of the run left, which is appended to.
    """

    def __init__(self, folder: Path | None = None, *, resuming: bool = False) -> None:
        self.folder = folder
        self.writers: list[LogWriter] = []
        self.bar = ProgressBar() if sys.stderr.isatty() else None
        self.listeners: list[Listener] = []
        if folder is not None:
            prepare_folder(folder, resuming)
        if self.bar is not None:
            self.listeners.append(self.bar)
        else:
            self.writers.append(LogWriter())
        self.start = 0
        self.measures: Measures | None = None
        self.stack = ExitStack()

    def __enter__(self) -> Logging:
        """Open what is open while the run lasts."""
        if self.folder is not None:
            file = (self.folder / LOG).open("a", encoding="utf-8")
            self.writers.append(LogWriter(self.stack.enter_context(file)))
        if self.bar is not None:
            self.stack.enter_context(self.bar)
        self.listeners.append(CaffeLog(self.write))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; the folder's log ends with the error, if there is one."""
        if self.folder is not None and kind is not None:
            self.writers[-1](Line("torchcaffe", str(error) or kind.__name__, "F"))
        self.stack.close()

    def write(self, line: Line) -> None:
        """Write a line of Caffe's to where they go."""
        for writer in self.writers:
            writer(line)

    def __call__(self, event: Event) -> None:
        """Tell all listeners."""
        if isinstance(event, events.Restored):
            self.start = event.iteration
        if isinstance(event, events.Solving) and self.folder is not None and not self.measures:
            self.measures = self._measures(self.folder)
            self.listeners.append(self.measures)
        for listener in self.listeners:
            listener(event)

    def _measures(self, folder: Path) -> Measures:
        board = tensorboard(folder, self.start)
        return Measures(JsonLines(folder / ROWS), *([board] if board else []))
