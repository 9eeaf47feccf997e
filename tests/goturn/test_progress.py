"""Progress: a bar on a terminal, lines in a log, nothing where it is quiet."""

import io

from rich.console import Console

from goturn.progress import Progress


def shown(
    terminal: bool, *, total: int | None = 3, quiet: bool = False, interval: float = 0
) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, highlight=False)
    with Progress("clip.mp4", total, quiet=quiet, console=console, interval=interval) as progress:
        for _ in range(3):
            progress.advance("9.5 frames per second")
    return text.getvalue()


def test_a_log_gets_plain_lines() -> None:
    assert shown(False).splitlines() == [
        "clip.mp4: 1 of 3  9.5 frames per second",
        "clip.mp4: 2 of 3  9.5 frames per second",
        "clip.mp4: 3 of 3  9.5 frames per second",
    ]
    assert shown(False, total=None).splitlines()[0] == "clip.mp4: 1  9.5 frames per second"


def test_a_log_gets_them_now_and_then() -> None:
    assert shown(False, interval=1000) == ""


def test_a_terminal_gets_a_bar() -> None:
    bar = shown(True)
    assert "3/3" in bar and "9.5 frames per second" in bar and "1 of 3" not in bar


def test_quiet_is_quiet() -> None:
    assert shown(True, quiet=True) == shown(False, quiet=True) == ""
