"""One forward pass on the CPU, exact and optimized, beside OpenCV's DNN module on the same files.

python benchmarks/forward.py

The ResNet is the one that the demo fetches (scripts/fetch_resnet.py); CaffeNet has seeded weights.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import torch
from _nets import caffenet
from _peers import in_turn

import torchcaffe

ROOT = Path(__file__).parent.parent
THREADS = 2


def compare(name: str, net: Path, weights: Path, size: int) -> None:
    exact = torchcaffe.load(net, weights)
    fast = exact.optimize()
    peer = cv2.dnn.readNetFromCaffe(str(net), str(weights))
    print(f"{name}: the optimized net's largest relative difference is {fast.difference:.2g}")
    for batch in (1, 10):
        x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
        blob = x.numpy()

        def opencv(blob: object = blob) -> None:
            peer.setInput(blob)
            peer.forward()

        def ours(x: torch.Tensor = x) -> None:
            with torch.inference_mode():
                exact(x)

        print(f" batch {batch}")
        in_turn(
            {"OpenCV 4.12": opencv, "torchcaffe": ours, "optimized": lambda x=x: fast(x)},
            rounds=15,
            peer="OpenCV 4.12",
        )


def main() -> None:
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    print(f"{THREADS} threads")
    script = ROOT / "scripts" / "fetch_resnet.py"
    done = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
    folder = Path(done.stdout.strip().splitlines()[-1])
    compare(
        "ResNet-50 thin",
        folder / "deploy.prototxt",
        folder / "resnet_50_1by2_nsfw.caffemodel",
        224,
    )
    with tempfile.TemporaryDirectory() as scratch:
        net, weights = Path(scratch) / "caffenet.prototxt", Path(scratch) / "caffenet.caffemodel"
        net.write_text(caffenet())
        torchcaffe.save_weights(torchcaffe.load(net, seed=1), weights)
        compare("CaffeNet", net, weights, 227)


if __name__ == "__main__":
    main()
