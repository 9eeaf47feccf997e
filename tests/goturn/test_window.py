"""What mouse and keys mean; and the window itself, where there is a screen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from goturn.box import Box
from goturn.errors import GoturnError
from goturn.window import Playing, Pointing, Window


def drag(pointing: Pointing, x1: float, y1: float, x2: float, y2: float) -> None:
    pointing.press(x1, y1)
    pointing.move((x1 + x2) / 2, y2)
    pointing.release(x2, y2)


def test_a_box_is_drawn_in_the_image_s_pixels() -> None:
    pointing = Pointing(100, 80, 2.0)
    pointing.press(20, 30)
    pointing.move(60, 50)
    assert pointing.draft == Box(10, 15, 30, 25)
    pointing.release(80, 90)
    assert pointing.boxes == [Box(10, 15, 40, 45)] and pointing.draft is None


def test_a_box_may_be_drawn_from_any_corner_and_ends_at_the_image() -> None:
    pointing = Pointing(100, 80, 1.0)
    drag(pointing, 60, 70, -30, 20)
    drag(pointing, 50, 50, 500, 500)
    assert pointing.boxes == [Box(0, 20, 60, 70), Box(50, 50, 100, 80)]


def test_a_click_is_no_box() -> None:
    pointing = Pointing(100, 80, 2.0)
    drag(pointing, 20, 20, 21, 60)
    assert pointing.boxes == []


def test_keys_while_pointing() -> None:
    pointing = Pointing(100, 80, 1.0)
    pointing.key("Return")
    assert not pointing.done, "nothing to track yet"
    drag(pointing, 1, 1, 20, 20)
    drag(pointing, 5, 5, 30, 30)
    pointing.key("BackSpace")
    pointing.key("Return")
    assert pointing.done and pointing.boxes == [Box(1, 1, 20, 20)]
    pointing.key("Escape")
    assert pointing.boxes == []


def test_keys_while_playing() -> None:
    playing = Playing()
    playing.key("space")
    assert playing.paused
    playing.key("space")
    playing.key("r")
    assert not playing.paused and playing.again and not playing.ended
    playing.key("q")
    assert playing.ended


def test_without_a_screen_the_words_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter", reason="Python was built without tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    if sys.platform != "linux":
        pytest.skip("a screen needs no DISPLAY here")
    with pytest.raises(GoturnError, match=r"no screen to show a window on; give .*--box X,Y,WIDTH"):
        Window("test")


def test_without_tkinter_the_words_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(GoturnError, match=r"python3-tk\); or give the box on the command line"):
        Window("test")


SESSION = """
from clips import Knowing, write_frames
from goturn.sources import open_source
from goturn.track import steps
from goturn.window import Window
from pathlib import Path

window = Window("test")
def drag(x1, y1, x2, y2):
    window.canvas.event_generate("<Button-1>", x=x1, y=y1)
    window.canvas.event_generate("<B1-Motion>", x=x2, y=y2, state=256)
    window.canvas.event_generate("<ButtonRelease-1>", x=x2, y=y2)
def key(name):
    window.root.focus_force()
    window.root.event_generate(f"<KeyPress-{name}>")
acts = [
    lambda: drag(100, 100, 200, 200), lambda: drag(5, 5, 90, 90), lambda: key("BackSpace"),
    lambda: key("Return"), lambda: key("space"), lambda: key("r"), lambda: drag(300, 100, 400, 150),
    lambda: drag(100, 100, 200, 150), lambda: key("Return"), lambda: key("q"),
]
for number, act in enumerate(acts):
    window.root.after(100 * (number + 1), act)
def endless():
    while True:
        yield from source.read()
source = open_source(str(write_frames(Path("frames"))))
endless_source = type(source)("frames", None, None, endless)
for step in steps(endless_source, Knowing(), window.begin, window.look):
    if step.number == 0:
        print("first", len(step.boxes))
    if window.ended:
        break
print("last", len(step.boxes))
"""


def test_a_session_on_a_screen(tmp_path: Path) -> None:
    """Draw, track, pause, point out anew, end: as a person would."""
    pytest.importorskip("tkinter", reason="Python was built without tkinter")
    if shutil.which("xvfb-run") is None:
        pytest.skip("xvfb-run, which gives a screen, is not installed")
    root = Path(__file__).parent.parent.parent
    path = os.pathsep.join([str(root / "src"), str(Path(__file__).parent)])
    done = subprocess.run(
        ["xvfb-run", "-a", sys.executable, "-c", SESSION],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["first", "1", "last", "2"]
