"""Tracking with the full-size GOTURN on the CPU, beside OpenCV's DNN module and eager PyTorch.

python benchmarks/track.py

114 million seeded random weights: they take as long as trained ones. Also how near the time for
reading the fully connected weights it comes, what bf16 does to the boxes, and, where there is a
GPU, frames per second for 1, 8 and 64 objects with the crops made there.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from _nets import goturn as opencv_goturn
from _peers import in_turn
from torch import Tensor, nn

import torchcaffe
from goturn import Box, MultiTracker, Network
from goturn.network import PUBLISHED, deploy_net
from goturn.regressor import GOTURN
from torchcaffe import CaffeNet, proto

THREADS = 2
ROUNDS = 25
OPENCV = "OpenCV 4.12"


def full_weights(folder: Path) -> Path:
    """The published net with what its fillers draw."""
    param = deploy_net(proto.read_net(PUBLISHED), PUBLISHED.name)
    return save(CaffeNet(param, "TEST", seed=1701), folder / "goturn.caffemodel")


def save(net: CaffeNet, path: Path) -> Path:
    torchcaffe.save_weights(net, path)
    return path


def opencv_net(folder: Path) -> cv2.dnn.Net:
    """A net of the same shape for OpenCV, with random weights of its own."""
    model = folder / "opencv.prototxt"
    model.write_text(opencv_goturn())
    weights = save(torchcaffe.load(model, seed=1701), folder / "opencv.caffemodel")
    return cv2.dnn.readNetFromCaffe(str(model), str(weights))


def crops(count: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target, image = torch.randn(2, count, 3, 227, 227, generator=generator) * 50
    return target, image


def compare(folder: Path, weights: Path) -> None:
    """One pass of the network for one object, everything in turn."""
    peer, eager = opencv_net(folder), GOTURN().eval()
    target, image = crops(1)
    blobs = {"target": target.numpy(), "image": image.numpy()}

    def opencv() -> None:
        for name, blob in blobs.items():
            peer.setInput(blob, name)
        peer.forward()

    networks = {
        name: Network.load(weights, precision=name) for name in ("exact", "float32", "bf16")
    }
    matrices = [layer.weight for layer in eager.modules() if isinstance(layer, nn.Linear)]
    megabytes = sum(4 * matrix.numel() for matrix in matrices) / 1e6
    floor = f"reading {megabytes:.0f} MB"
    print("one pass of the network, one object")
    with torch.inference_mode():
        in_turn(
            {
                OPENCV: opencv,
                "PyTorch, eager": lambda: eager(target, image),
                **{f"goturn {n}": partial(net, target, image) for n, net in networks.items()},
                floor: lambda: [matrix.amax() for matrix in matrices],
            },
            rounds=ROUNDS,
            peer=OPENCV,
        )
    print("what bf16 does to the answers, in parts of the crop's width, over 32 random crops")
    exact, half = (networks[name](*crops(32, seed=2)) / 10 for name in ("exact", "bf16"))
    change = (half - exact).abs()
    print(f"  mean {change.mean():.5f}, largest {change.max():.5f}")


def frames_per_second(weights: Path, device: str, precision: str, objects: int) -> None:
    """The whole tracker on 1280 x 720 frames: crops, network, boxes."""
    tracker = MultiTracker(weights, device=device, precision=precision)
    generator = np.random.default_rng(1)
    frames = generator.integers(0, 256, (4, 720, 1280, 3), np.uint8)
    starts = [Box.from_xywh(*generator.uniform((0, 0, 50, 50), (900, 400, 300, 300)))
              for _ in range(objects)]  # fmt: skip
    seconds = []
    for number in range(ROUNDS):
        # The weights are random: the boxes would run away.
        tracker.init(frames[number % 4], starts)
        start = time.perf_counter()
        tracker.update(frames[(number + 1) % 4])
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds))
    print(
        f"  {device} {precision:<8} {objects:3} objects {1 / median:8.1f} frames per second, "
        f"{median * 1e3:8.2f} ms a frame",
        flush=True,
    )


def main() -> None:
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    print(f"{THREADS} threads")
    with tempfile.TemporaryDirectory() as scratch:
        weights = full_weights(Path(scratch))
        compare(Path(scratch), weights)
        print("the whole tracker, frames of 1280 x 720")
        for precision in ("float32", "bf16"):
            for objects in (1, 8):
                frames_per_second(weights, "cpu", precision, objects)
        if not torch.cuda.is_available():
            print("  no GPU here")
            return
        print(f"on {torch.cuda.get_device_name()}, crops made there")
        for precision in ("float32", "bf16"):
            for objects in (1, 8, 64):
                frames_per_second(weights, "cuda", precision, objects)


if __name__ == "__main__":
    main()
