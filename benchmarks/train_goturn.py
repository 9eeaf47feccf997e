"""Training the published GOTURN: examples a second, and whether making them hides behind computing.

OMP_NUM_THREADS=1 python benchmarks/train_goturn.py [--device cuda] [--rounds 5]

Videos and stills of 640x480, drawn on the spot. Trained in turn, in the same process: with examples
that two processes make, and on one batch that stays in memory. "waits" is the share of the time
that training stands still until its batch is there; "alone" how many examples the workers make a
second when nothing is computed beside them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from _peers import in_turn

from goturn.batches import Batches
from goturn.box import Box
from goturn.examples import original_recipe
from goturn.network import input_size
from goturn.sequence import Image, Sequence
from goturn.still import Still
from goturn.train import Settings, make_batches, make_solver, read_prototxts
from torchcaffe.solvers import Ranks

WIDTH, HEIGHT = 640, 480


def image(number: int) -> Image:
    """A picture that is smooth, as photographs are."""
    small = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
    return np.asarray(cv2.resize(small, (WIDTH, HEIGHT)), np.uint8)


def data(folder: Path) -> tuple[list[Still], list[Sequence]]:
    """32 stills with two boxes each, and 8 videos of 16 frames, as JPEG files."""
    stills, videos = [], []
    for number in range(32):
        path = folder / f"still{number}.jpg"
        cv2.imwrite(str(path), image(number))
        boxes = [Box.from_xywh(40, 50, 160, 120), Box.from_xywh(300, 200, 90, 140)]
        stills.append(Still(path, boxes, WIDTH, HEIGHT))
    for number in range(8):
        frames = [folder / f"video{number}_{frame}.jpg" for frame in range(16)]
        for frame, path in enumerate(frames):
            cv2.imwrite(str(path), image(1000 * number + frame))
        boxes_of = [Box.from_xywh(100 + 5 * frame, 150, 120, 100) for frame in range(16)]
        videos.append(Sequence(f"video{number}", frames, boxes_of))
    return stills, videos


class Waiting:
    """Batches, and the seconds that were waited for them."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.seconds = batches, 0.0

    def __call__(self, _: int) -> dict[str, torch.Tensor]:
        """The next batch."""
        start = time.perf_counter()
        batch = next(self.batches)
        self.seconds += time.perf_counter() - start
        return batch


def alone(batches: Batches, count: int) -> float:
    """Examples a second with nothing beside."""
    next(batches)
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * batches.size / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    print(
        f"{torch.get_num_threads()} threads compute, {os.cpu_count()} processors, {chosen.device}"
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(Settings(device=chosen.device), *data(Path(folder)), chosen.rounds)


def measure(settings: Settings, stills: list[Still], videos: list[Sequence], rounds: int) -> None:
    solver, net = read_prototxts(settings)
    solver.display, solver.snapshot = 0, 0

    def batches() -> Batches:
        recipe = original_recipe(stills, videos)
        return make_batches(settings, recipe, input_size(net), Ranks())

    rate = alone(batches(), 40)
    waiting = Waiting(batches())
    same = waiting(0)
    waiting.seconds = 0.0
    with_data = make_solver(settings, solver, net, waiting)
    without = make_solver(settings, solver, net, lambda _: same)
    runs = {
        "with its data": lambda: with_data.step(1),
        "on one batch": lambda: without.step(1),
    }
    seconds = 0.0

    def timed() -> None:
        nonlocal seconds
        start = time.perf_counter()
        runs["with its data"]()
        seconds += time.perf_counter() - start

    in_turn(runs | {"with its data": timed}, rounds=rounds, peer="on one batch", warm_up=1)
    print(
        f"  {(rounds + 1) * settings.batch / seconds:.1f} examples a second; waits "
        f"{waiting.seconds / seconds:.1%}; {settings.workers} processes make {rate:.0f} a second "
        f"alone"
    )


if __name__ == "__main__":
    main()
