"""A 455 MB caffemodel of 114 million parameters to a ready module, beside OpenCV's reader.

python benchmarks/load.py

Each reading is a process of its own, in turn. The time is that of the call alone, imports not
counted; the memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _nets import goturn


def child(reader: str, net: str, weights: str) -> None:
    """Read once; print seconds, the peak before and after, in bytes."""
    if reader == "torchcaffe":
        import torchcaffe

        read = lambda: torchcaffe.load(net, weights)  # noqa: E731
    else:
        import cv2

        read = lambda: cv2.dnn.readNetFromCaffe(net, weights)  # noqa: E731
    before = peak_memory()
    start = time.perf_counter()
    read()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "before": before, "peak": peak_memory()}))


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes; Linux tells it in /proc."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, metavar=("READER", "NET", "WEIGHTS"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.rounds)


def compare(folder: Path, rounds: int) -> None:
    import torchcaffe

    net, weights = folder / "goturn.prototxt", folder / "goturn.caffemodel"
    net.write_text(goturn())
    torchcaffe.save_weights(torchcaffe.load(net, seed=1), weights)
    size = weights.stat().st_size
    print(f"{weights.name}: {size / 1e6:.0f} MB")
    results: dict[str, list[dict[str, float]]] = {"torchcaffe": [], "OpenCV": []}
    for _ in range(rounds):
        for reader, found in results.items():
            command = [sys.executable, __file__, "--child", reader, str(net), str(weights)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(output))
    for reader, found in results.items():
        peak = statistics.median(run["peak"] for run in found)
        before = statistics.median(run["before"] for run in found)
        print(
            f"  {reader:<12} median {statistics.median(run['seconds'] for run in found):6.3f} s, "
            f"peak {peak / 1e6:6.0f} MB ({before / 1e6:.0f} MB of it before the call), "
            f"{(peak - size) / 1e6:+.0f} MB beside the file's size"
        )
    ratio = statistics.median(
        mine["seconds"] / theirs["seconds"]
        for mine, theirs in zip(results["torchcaffe"], results["OpenCV"], strict=True)
    )
    print(f"  torchcaffe takes {ratio:.2f} of OpenCV's time")


if __name__ == "__main__":
    main()
