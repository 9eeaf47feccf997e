"""Lines in the form of glog, Google's logging library, as Caffe's programs write them.

``I1125 16:03:10.123456 12345 solver.cpp:239] Iteration 100, ...``: severity, month and day, time,
thread, place in Caffe's source, message. The day has no year, as in the glog of Caffe's time,
because Caffe's log parsers need it so. Only the first line of a message has a prefix.
"""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from torchcaffe.proto import Message, format_text


@dataclass(frozen=True)
class Line:
    """A message, and the place in Caffe's source (``solver.cpp:239``) that logs it.

    ``severity`` is I, W, E or F.
    """

    place: str
    text: str
    severity: str = "I"


class LogWriter:
    """Writes lines to a stream, standard error unless another is given."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream

    def __call__(self, line: Line) -> None:
        """Write a line at once."""
        # Looked up late, so that a redirected sys.stderr is used.
        stream = sys.stderr if self.stream is None else self.stream
        stream.write(f"{_prefix(line, datetime.now())}{line.text}\n")
        stream.flush()


def _prefix(line: Line, now: datetime) -> str:
    time = now.strftime("%m%d %H:%M:%S.%f")
    return f"{line.severity}{time} {threading.get_native_id():5d} {line.place}] "


def number(value: float) -> str:
    """A number as a C++ stream prints it: six digits, ``1e-05``, ``nan``, ``inf``."""
    return f"{value:.6g}"


def dump(message: Message) -> str:
    """A message as Caffe logs it: prototxt, where whole numbers have no point."""
    text = format_text(message)
    return re.sub(r"(?m)(: -?[\d.]+(?:e\+\d+)?)$", _shorter, text).rstrip("\n")


def _shorter(found: re.Match[str]) -> str:
    text = found[1].removeprefix(": ")
    if not text.endswith(".0"):
        return found[0]
    short = number(float(text))
    return f": {short if float(short) == float(text) else text.removesuffix('.0')}"
