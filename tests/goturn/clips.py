"""A small clip in which a disc moves, and a tracker that knows how it moves."""

from collections.abc import Sequence as Ordered
from pathlib import Path

import cv2
import numpy as np

from goturn.box import Box

FIRST = Box.from_xywh(20, 16, 20, 20)
MOVE = (3, 1)


def scenes(count: int = 12, width: int = 96, height: int = 72) -> list[np.ndarray]:
    images = []
    for number in range(count):
        image = np.full((height, width, 3), (90, 120, 80), np.uint8)
        center = (30 + MOVE[0] * number, 26 + MOVE[1] * number)
        cv2.circle(image, center, 10, (40, 60, 200), cv2.FILLED)
        images.append(image)
    return images


def write_frames(folder: Path, count: int = 12) -> Path:
    """1.png, 2.png, ..., 10.png, ..."""
    folder.mkdir(parents=True)
    for number, image in enumerate(scenes(count), 1):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def write_clip(path: Path, count: int = 12, fps: float = 10.0) -> Path:
    codec = {".mp4": "mp4v", ".avi": "MJPG"}[path.suffix]
    images = scenes(count)
    size = (images[0].shape[1], images[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    for image in images:
        writer.write(image)
    writer.release()
    return path


class Knowing:
    """A tracker that moves every box as the disc moves."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.begun = 0

    def init(self, image: np.ndarray, boxes: Ordered[Box]) -> None:
        self.boxes = list(boxes)
        self.begun += 1

    def update(self, image: np.ndarray) -> list[tuple[bool, tuple[float, float, float, float]]]:
        self.boxes = [box.shifted(*MOVE) for box in self.boxes]
        return [(box.x1 < image.shape[1], box.to_xywh()) for box in self.boxes]
