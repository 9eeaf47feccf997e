"""A window that asks where objects are, and shows how they are followed.

``Pointing`` and ``Playing`` are what mouse and keys mean, and know of no screen; ``Window`` is
tkinter's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence as Ordered
from typing import Any

import cv2
import numpy as np

from goturn.box import Box
from goturn.draw import annotate
from goturn.errors import BoxError, GoturnError
from goturn.sequence import Image
from goturn.track import Step

SMALLEST = 3
"""A box drawn narrower or lower than so many pixels of the window was a click."""

ASK = "Draw a box around each object.   Enter: track   Backspace: remove the last   Esc: give up"
RUN = "Space: pause   R: point the objects out anew   Q: end"
GIVE = "give the box on the command line: --box X,Y,WIDTH,HEIGHT, in pixels"


class Pointing:
    """Boxes drawn with a mouse on an image that is shown ``scale`` times as large."""

    def __init__(self, width: int, height: int, scale: float) -> None:
        self.width = width
        self.height = height
        self.scale = scale
        self.boxes: list[Box] = []
        self.done = False
        self._start: tuple[float, float] | None = None
        self._end = (0.0, 0.0)

    @property
    def draft(self) -> Box | None:
        """The box that is being drawn, in the image's pixels."""
        if self._start is None:
            return None
        (x1, x2), (y1, y2) = (sorted(pair) for pair in zip(self._start, self._end, strict=True))
        return Box(x1, y1, x2, y2)

    def press(self, x: float, y: float) -> None:
        """The button goes down at a place of the window."""
        self._start = self._end = self._place(x, y)

    def move(self, x: float, y: float) -> None:
        """The mouse moves with the button down."""
        self._end = self._place(x, y)

    def release(self, x: float, y: float) -> None:
        """The button goes up: a box, unless it was a click."""
        self.move(x, y)
        box, self._start = self.draft, None
        if box is not None and min(box.width, box.height) * self.scale >= SMALLEST:
            self.boxes.append(box)

    def key(self, name: str) -> None:
        """A key, as tkinter calls it."""
        if name == "BackSpace":
            del self.boxes[-1:]
        elif name == "Escape":
            self.boxes.clear()
            self.done = True
        elif name in ("Return", "KP_Enter") and self.boxes:
            self.done = True

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return (
            min(float(self.width), max(0.0, x / self.scale)),
            min(float(self.height), max(0.0, y / self.scale)),
        )


class Playing:
    """What keys mean while objects are followed."""

    def __init__(self) -> None:
        self.paused = False
        self.ended = False
        self.again = False
        """Whether the objects are to be pointed out anew."""

    def key(self, name: str) -> None:
        """A key, as tkinter calls it."""
        if name == "space":
            self.paused = not self.paused
        elif name in ("r", "R"):
            self.again = True
        elif name in ("q", "Q", "Escape"):
            self.ended = True


class Window:
    """A window with an image and a line of words; GoturnError where there is no screen."""

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError:
            raise GoturnError(
                f"a window needs Python's tkinter, which is missing (Debian: apt install "
                f"python3-tk); or {GIVE}"
            ) from None
        self.tk = tkinter
        try:
            self.root = tkinter.Tk()
        except tkinter.TclError:
            raise GoturnError(f"there is no screen to show a window on; {GIVE}") from None
        self.root.title(title)
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.words = tkinter.Label(self.root, anchor="w", padx=8, pady=4)
        self.canvas = tkinter.Canvas(self.root, highlightthickness=0)
        self.words.pack(fill="x")
        self.canvas.pack()
        self.photo: Any = None
        self.playing = Playing()
        self.closed = False

    def begin(self, image: Image) -> list[Box]:
        """Ask for the boxes of the objects; BoxError if none is drawn."""
        boxes = self._ask(image)
        if not boxes:
            raise BoxError(f"no box was drawn, so there is nothing to track; or {GIVE}")
        return boxes

    def look(self, step: Step) -> Ordered[Box] | None:
        """Show a step, wait while paused; boxes if the objects were pointed out anew."""
        self._show(annotate(step.image, step.boxes, ok=step.ok), RUN)
        self.root.bind("<Key>", lambda event: self.playing.key(event.keysym))
        self._pump(lambda: self.playing.paused and not self.playing.again)
        if not self.playing.again or self.closed:
            return None
        self.playing.again = self.playing.paused = False
        return self._ask(step.image) or None

    @property
    def ended(self) -> bool:
        """Whether the person wants no more."""
        return self.closed or self.playing.ended

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            self.closed = True
            self.root.destroy()

    def _ask(self, image: Image) -> list[Box]:
        height, width = image.shape[:2]
        pointing = Pointing(width, height, self._scale(width, height))

        def draw() -> None:
            draft = [pointing.draft] if pointing.draft is not None else []
            self._show(annotate(image, [*pointing.boxes, *draft]), ASK)

        def bind(where: Any, event: str, act: Callable[[Any], None]) -> None:
            def act_and_draw(found: Any) -> None:
                act(found)
                draw()

            where.bind(event, act_and_draw)

        draw()
        bind(self.canvas, "<Button-1>", lambda event: pointing.press(event.x, event.y))
        bind(self.canvas, "<B1-Motion>", lambda event: pointing.move(event.x, event.y))
        bind(self.canvas, "<ButtonRelease-1>", lambda event: pointing.release(event.x, event.y))
        bind(self.root, "<Key>", lambda event: pointing.key(event.keysym))
        self._pump(lambda: not pointing.done)
        if not self.closed:
            for event in ("<Button-1>", "<B1-Motion>", "<ButtonRelease-1>"):
                self.canvas.unbind(event)
        return pointing.boxes

    def _pump(self, waiting: Callable[[], bool]) -> None:
        """Let the window work: once, and on while ``waiting()``."""
        while not self.closed:
            self.root.update()
            if self.closed or not waiting():
                return
            time.sleep(0.015)

    def _scale(self, width: int, height: int) -> float:
        """So large that the image is seen well and fits on the screen."""
        room = (self.root.winfo_screenwidth() * 0.9, self.root.winfo_screenheight() * 0.8)
        return min(room[0] / width, room[1] / height, max(1.0, 640 / width))

    def _show(self, picture: Image, words: str) -> None:
        if self.closed:
            return
        height, width = picture.shape[:2]
        scale = self._scale(width, height)
        shape = max(1, round(width * scale)), max(1, round(height * scale))
        shown = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
        data = b"P6 %d %d 255\n" % shape + np.ascontiguousarray(shown[:, :, ::-1]).tobytes()
        if self.photo is None or (self.photo.width(), self.photo.height()) != shape:
            self.photo = self.tk.PhotoImage(master=self.root, data=data)
            self.canvas.configure(width=shape[0], height=shape[1])
            self.canvas.delete("all")
            self.canvas.create_image(0, 0, anchor="nw", image=self.photo)
        else:
            self.photo.configure(data=data)
        self.words.configure(text=words)
