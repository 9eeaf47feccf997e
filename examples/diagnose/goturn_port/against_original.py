"""The same port, and the original's sampling law to hold its labels against."""

import port

from goturn import Box
from goturn.motion import GroupStream, Motion


def original(number):
    """One label: a box of 100 pixels in a window that was shifted away from it."""
    box = Box.from_center(1000, 1000, 100, 100)
    moved = Motion().shift(box, 2000, 2000, GroupStream(800, number))
    left, top = moved.center_x - moved.width, moved.center_y - moved.height
    return [
        10 * (box.x1 - left) / (2 * moved.width),
        10 * (box.y1 - top) / (2 * moved.height),
        10 * (box.x2 - left) / (2 * moved.width),
        10 * (box.y2 - top) / (2 * moved.height),
    ]


def build():
    return {**port.build(), "reference_dataset": original}
