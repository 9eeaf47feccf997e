"""``goturn track``: follow objects through a video, images or a camera."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goturn.box import Box
from goturn.cli._options import network_options, required_weights
from torchcaffe import CaffeError

if TYPE_CHECKING:
    from goturn.outputs import Output
    from goturn.progress import Progress
    from goturn.sources import Source
    from goturn.track import Step

FPS = 25.0
"""Of a video that is made of images, which have no speed."""


@click.command()
@click.argument("source")
@click.option(
    "--box",
    "boxes",
    multiple=True,
    metavar="X,Y,W,H",
    help="Where an object is in the first frame: left, top, width, height in pixels. Given "
    "several times, several are followed. Without it, a window asks.",
)
@network_options
@click.option("--boxes", "table", metavar="FILE", help="Write the boxes: .csv, .json or .txt.")
@click.option("--video", metavar="FILE", help="Write a video with the boxes: .mp4, .avi or .webm.")
@click.option("--sheet", metavar="FILE", help="Write a contact sheet, an image.")
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help=f"Frames per second of --video.  [default: the source's, or {FPS:g}]",
)
@click.option("--show", is_flag=True, help="Show a window although --box is given.")
@click.option("--quiet", is_flag=True, help="No progress, and no words at the end.")
def command(
    source: str,
    boxes: tuple[str, ...],
    weights: str | None,
    model: str | None,
    device: str,
    precision: str,
    threads: int | None,
    table: str | None,
    video: str | None,
    sheet: str | None,
    fps: float | None,
    show: bool,
    quiet: bool,
) -> None:
    """Follow objects through SOURCE, from where they are in its first frame.

    SOURCE is a video, a folder of images, a pattern such as "frames/*.jpg", the address of a
    stream, or a camera's number. In the window, draw a box around each object and press Enter;
    while it tracks, space pauses, r points the objects out anew, and q ends. What was tracked is
    kept, also when the source breaks or Ctrl-C ends it.

    \b
    Example:
      goturn track clip.mp4 --box 120,80,60,40 --weights tracker.caffemodel --boxes boxes.csv
    """
    given = [_parse_box(text) for text in boxes]
    path = required_weights(weights)
    from goturn.progress import Progress
    from goturn.sources import open_source
    from goturn.track import steps
    from goturn.tracker import MultiTracker
    from goturn.window import Window

    frames = open_source(source)
    outputs = _outputs(frames, table, video, sheet, fps)
    window = Window(f"goturn: {frames.name}") if show or not given else None
    tracker = MultiTracker(path, model=model, device=device, precision=precision, threads=threads)
    begin = (lambda _: given) if given or window is None else window.begin
    tracked = steps(frames, tracker, begin, window.look if window is not None else None)
    ended = (lambda: window.ended) if window is not None else (lambda: False)
    with Progress(frames.name, frames.count, quiet=quiet) as progress:
        result = _record(tracked, outputs, progress, ended)
    if not quiet:
        click.echo(result.text(frames.name))
    if isinstance(result.stopped, KeyboardInterrupt):
        raise click.Abort
    if result.stopped is not None:
        raise result.stopped


@dataclass
class _Result:
    """What a run came to."""

    last: Step | None = None
    lost: int = 0
    """Frames in which an object was not ok."""
    seconds: float = 0.0
    """What the tracker took for all frames after the first."""
    elapsed: float = 0.0
    """And what everything took: reading, drawing and writing too."""
    written: list[Path] = field(default_factory=list)
    stopped: BaseException | None = None

    def add(self, step: Step) -> None:
        self.last = step
        self.lost += not all(step.ok)
        self.seconds += step.seconds if step.number else 0.0

    def speed(self) -> str:
        if self.last is None or not self.seconds:
            return ""
        return f"{self.last.number / self.seconds:.1f} frames per second"

    def text(self, source: str) -> str:
        if self.last is None:
            return f"{source}: nothing was tracked"
        frames, objects = self.last.number + 1, len(self.last.boxes)
        words = [f"{frames} frame{'s' * (frames != 1)}", f"{objects} object{'s' * (objects != 1)}"]
        if self.seconds:
            whole = frames / self.elapsed
            words.append(f"{self.speed()} ({whole:.1f} with reading and writing)")
        lines = [f"{source}: {', '.join(words)}"]
        if self.lost:
            lines.append(f"  in {self.lost} of them an object had left the image or had no extent")
        return "\n".join(lines + [f"  {path}" for path in self.written])


def _record(
    tracked: Iterable[Step],
    outputs: list[Output],
    progress: Progress,
    ended: Callable[[], bool],
) -> _Result:
    """Hand every step to the outputs; what stops the run is part of the result."""
    result, start = _Result(), time.perf_counter()
    with _ctrl_c() as came:
        try:
            for step in tracked:
                for output in outputs:
                    output.add(step)
                result.add(step)
                progress.advance(result.speed())
                if came():
                    raise KeyboardInterrupt
                if ended():
                    break
        except (CaffeError, KeyboardInterrupt) as error:
            result.stopped = error
        finally:
            result.elapsed = time.perf_counter() - start
            _close(outputs, result)
    return result


def _close(outputs: list[Output], result: _Result) -> None:
    """Write every output, also when another cannot be written."""
    for output in outputs:
        try:
            result.written += output.close()
        except CaffeError as error:
            result.stopped = result.stopped or error


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """Tell whether Ctrl-C came: the first waits until all outputs have the frame, a second not."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)
    presses = 0

    def note(*_: object) -> None:
        nonlocal presses
        presses += 1
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: presses > 0
    finally:
        signal.signal(signal.SIGINT, before)


def _parse_box(text: str) -> Box:
    try:
        x, y, width, height = map(float, text.split(","))
    except ValueError:
        raise click.BadParameter(
            f'takes X,Y,WIDTH,HEIGHT, four numbers with commas between them, got "{text}"',
            param_hint="--box",
        ) from None
    return Box.from_xywh(x, y, width, height)


def _outputs(
    source: Source, table: str | None, video: str | None, sheet: str | None, fps: float | None
) -> list[Output]:
    from goturn.outputs import BoxFile, Sheet, VideoFile

    outputs: list[Output] = []
    if table is not None:
        outputs.append(BoxFile(Path(table), source.name))
    if video is not None:
        outputs.append(VideoFile(Path(video), fps or source.fps or FPS))
    if sheet is not None:
        outputs.append(Sheet(Path(sheet), source.name))
    return outputs
