"""Switch each known difference of GOTURN's ports on alone, and measure what it does.

    python scripts/ablations.py run        train and measure what is missing; can be stopped
    python scripts/ablations.py report     the table and the plot of docs/

A run trains the fully connected layers of the narrow GOTURN of examples/goturn, whose towers stay
as they were trained, as those of the original stay as ImageNet left them. Every result is a file in
out/ablations; all that are there go into docs/ablations/results.json.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from goturn import train
from goturn.ablations import ABLATIONS, antialiased_resize, prepare
from goturn.batches import Batches, NumberedGroups
from goturn.box import Box
from goturn.crop import MEAN, Crop, resize
from goturn.data.procedural import stills, videos
from goturn.evaluate.metrics import overlaps, success_curve, to_array
from goturn.examples import original_recipe
from goturn.network import ANSWER, TOWER, Network, deploy_net
from goturn.sequence import Sequence
from torchcaffe import proto
from torchcaffe.proto import replacing
from torchcaffe.weights import SourceLayer, Weights

ROOT = Path(__file__).parent.parent
NARROW = ROOT / "examples" / "goturn"
OUT = ROOT / "out" / "ablations"
DOCS = ROOT / "docs" / "ablations"
PAGE = ROOT / "docs" / "why-ports-converge-worse.md"
ORIGINAL = "original"

SEEDS = range(800, 813)
ITERATIONS = 800
STEPSIZE = 500
RATE = 3e-6
TRAIN, TEST = 101, 202
"""Seeds of what is drawn to train with and to measure with."""

SOLVER = f"""
net: "net.prototxt" base_lr: {RATE} lr_policy: "step" gamma: 0.1 stepsize: {STEPSIZE}
momentum: 0.9 weight_decay: 0.0005 max_iter: {ITERATIONS} display: 0 snapshot_prefix: "run"
"""

MEASURES = {
    "overlap": "mean overlap",
    "auc": "success AUC",
    "validation": "validation loss",
}
STUDENT = dict(
    enumerate(
        (
            *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306),
            *(2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120),
        ),
        start=1,
    )
)
"""By degrees of freedom, for intervals of 95 %."""


# Training and measuring


def run_all(seeds: list[int], names: list[str]) -> None:
    """Every run whose result is missing, seed by seed, so that what is there can be compared."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    OUT.mkdir(parents=True, exist_ok=True)
    trained = [name for name in names if name == ORIGINAL or ABLATIONS[name].change]
    for seed in seeds:
        for name in trained:
            path = OUT / f"{name}-{seed}.json"
            with claimed(path.with_suffix(".lock")) as mine:
                if not mine or path.is_file():
                    continue
                result = run_one(name, seed)
                with replacing(path) as file:
                    file.write(json.dumps(result, indent=1).encode())
            shown = {key: round(value, 4) for key, value in result["measures"].items()}
            print(f"{name} {seed}: {shown} in {result['seconds']:.0f} s", flush=True)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether no other process is at it; the claim ends with the process, however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def run_one(name: str, seed: int) -> dict[str, Any]:
    """Train with one difference, or none, and measure."""
    start = time.process_time()
    settings = train.Settings(solver=write_prototxts(), seed=seed, workers=0)
    data = training_data()
    run = train.prepare(settings, *data) if name == ORIGINAL else prepare(name, settings, *data)
    for layer, blobs in towers().items():
        for value, trained in zip(run.net.params[layer], blobs, strict=True):
            value.data.copy_(torch.from_numpy(trained))
    losses = []
    for _ in range(ITERATIONS):
        run.step(1)
        losses.append(run.loss)
    layers = [
        SourceLayer(layer, [blob.detach().numpy() for blob in blobs], [False] * len(blobs))
        for layer, blobs in run.net.params.items()
    ]
    net = proto.read_net(settings.solver.with_name("net.prototxt"))
    network = Network(deploy_net(net, "net"), Weights("trained", layers))
    scale = resize if name != "antialiased-resize" else antialiased_resize
    batch = 44 if name == "batch-44" else 50
    result: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "measures": measure(network, scale),
        "training": [
            round(float(np.mean(losses[at : at + 50])) / batch, 5)
            for at in range(0, ITERATIONS, 50)
        ],
    }
    if name == ORIGINAL:
        result["truncated-boxes"] = measure(network, scale, truncate=True)
    result["seconds"] = time.process_time() - start
    return result


def write_prototxts() -> Path:
    """The solver and the net of a run: towers that stay, the original's rates for the rest.

    The fillers are the original's too, but for deviations ten times as large: a layer of 256
    needs larger weights than one of 4096.
    """
    net = proto.read_net(NARROW / "net.prototxt")
    for layer in net.layer:
        if len(layer.param) == 2:
            fixed = layer.type == "Convolution"
            layer.param[0].lr_mult, layer.param[1].lr_mult = (0, 0) if fixed else (10, 20)
            layer.param[0].decay_mult, layer.param[1].decay_mult = 1, 0
        if layer.type == "InnerProduct":
            last = layer.name == ANSWER
            weights = layer.inner_product_param.weight_filler
            weights.type, weights.std = "gaussian", 0.1 if last else 0.05
            layer.inner_product_param.bias_filler.value = 0 if last else 1
    for name, text in (("net", proto.format_text(net)), ("solver", SOLVER)):
        with replacing(OUT / f"{name}.prototxt") as file:
            file.write(text.encode())
    return OUT / "solver.prototxt"


@lru_cache
def training_data() -> Any:
    return stills(120, TRAIN), videos(60, TRAIN)


@lru_cache
def towers() -> dict[str, Any]:
    """The trained blobs of both towers, by layer."""
    layers = Network.load(NARROW / "narrow.safetensors").weights.layers
    names = {name for tower in TOWER for name in (tower, f"{tower}_p")}
    return {layer.name: layer.blobs for layer in layers if layer.name in names}


@lru_cache
def test_videos() -> list[Sequence]:
    return videos(100, TEST, frames=(40, 40))


@lru_cache
def validation_batches(scale: Any) -> list[Any]:
    recipe = original_recipe(stills(60, TEST), videos(60, TEST))
    batches = Batches(NumberedGroups(replace(recipe, resize=scale), input_size(), 0))
    return [next(batches) for _ in range(20)]


def input_size() -> int:
    return Network.load(NARROW / "narrow.safetensors").size


def measure(network: Network, scale: Any, truncate: bool = False) -> dict[str, float]:
    """Overlaps of held-out videos, frame 0 left out, and the loss of held-out examples."""
    found = np.concatenate(
        [
            overlaps(to_array(boxes)[1:], to_array(video.boxes)[1:])
            for video, boxes in zip(
                test_videos(), track(network, test_videos(), scale, truncate), strict=True
            )
        ]
    )
    losses = []
    for batch in validation_batches(scale):
        answer = network(batch["target"], batch["image"])
        losses.append(float((answer - batch["bbox"].view(-1, 4)).abs().sum()) / len(answer))
    return {
        "overlap": float(found.mean()),
        "auc": float(success_curve(found).mean()),
        "validation": float(np.mean(losses)),
    }


def track(
    network: Network, sequences: list[Sequence], scale: Any = resize, truncate: bool = False
) -> list[list[Box]]:
    """All sequences at once, frame by frame; they are equally long."""
    boxes = [[sequence.boxes[0]] for sequence in sequences]
    for frame in range(1, len(sequences[0])):
        crops, targets, searches = [], [], []
        for sequence, past in zip(sequences, boxes, strict=True):
            before, now = sequence.image(frame - 1), sequence.image(frame)
            crops.append(Crop.around(past[-1], now))
            targets.append(planes(Crop.around(past[-1], before).cut(before), scale, network.size))
            searches.append(planes(crops[-1].cut(now), scale, network.size))
        answers = network(torch.from_numpy(np.stack(targets)), torch.from_numpy(np.stack(searches)))
        for past, crop, answer in zip(boxes, crops, answers, strict=True):
            box = crop.to_image(Box(*map(float, answer)))
            past.append(Box(*map(float, map(int, box.to_corners()))) if truncate else box)
    return boxes


def planes(canvas: Any, scale: Any, size: int) -> Any:
    return (scale(canvas, size).astype(np.float32) - MEAN).transpose(2, 0, 1)


# Reporting


def collect() -> dict[str, Any]:
    """All results that are there, by difference and seed, in one committed file."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(OUT.glob("*-*.json")):
        result = json.loads(path.read_text())
        name, seed = result["name"], str(result["seed"])
        entry = {"measures": rounded(result["measures"]), "training": result["training"]}
        found.setdefault(name, {})[seed] = entry
        if "truncated-boxes" in result:
            entry = {"measures": rounded(result["truncated-boxes"])}
            found.setdefault("truncated-boxes", {})[seed] = entry
    return {"data": facts(), "runs": found} if found else {}


def facts() -> dict[str, float]:
    """What the page says about the data."""
    drawn, moving = training_data()
    boxes = [len(still.boxes) for still in drawn]
    steps = np.array([len(video) - 1 for video in moving])
    staying = [
        overlaps(to_array(video.boxes[:1] * len(video))[1:], to_array(video.boxes)[1:]).mean()
        for video in test_videos()
    ]
    return {
        "stills": len(drawn),
        "boxes": sum(boxes),
        "crowded": round(sum(count for count in boxes if count > 1) / sum(boxes), 2),
        "videos": len(moving),
        "shortest": int(steps.min()) + 1,
        "longest": int(steps.max()) + 1,
        "as many as": round(float(steps.sum() ** 2 / (steps**2).sum())),
        "staying": round(float(np.mean(staying)), 3),
    }


def rounded(measures: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 5) for key, value in measures.items()}


def effects(results: dict[str, Any], name: str, measure_name: str) -> list[float]:
    """The difference to the original, seed by seed."""
    original = results["runs"][ORIGINAL]
    return [
        entry["measures"][measure_name] - original[seed]["measures"][measure_name]
        for seed, entry in sorted(results["runs"][name].items())
        if seed in original
    ]


def interval(values: list[float]) -> tuple[float, float]:
    """The mean, and half the interval that holds the true one in 95 of 100 such studies."""
    spread = statistics.stdev(values) / len(values) ** 0.5
    return statistics.mean(values), STUDENT[len(values) - 1] * spread


def table(results: dict[str, Any]) -> str:
    """A Markdown table: for each difference, what it changes, with its interval."""
    heads = list(MEASURES.values())
    lines = [
        "| difference | in place of | a port has | seeds | " + " | ".join(heads) + " |",
        "| --- | --- | --- | ---: | " + " | ".join(["---:"] * len(heads)) + " |",
    ]
    for name, ablation in ABLATIONS.items():
        cells = []
        for key in MEASURES:
            if ablation.change is None and key == "validation":
                cells.append("the same")
                continue
            mean, half = interval(effects(results, name, key))
            text = f"{mean:+.3f} ± {half:.3f}"
            cells.append(f"**{text}**" if abs(mean) > half else text)
        seeds = len(effects(results, name, "overlap"))
        row = [f"`{name}`", ablation.original, ablation.port, str(seeds), *cells]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def baseline(results: dict[str, Any]) -> str:
    """The original's own numbers and their spread, beside a box that stays where it was put."""
    parts = []
    runs = results["runs"][ORIGINAL]
    for key, title in MEASURES.items():
        values = [entry["measures"][key] for entry in runs.values()]
        parts.append(
            f"{title} {statistics.mean(values):.3f} (deviation {statistics.stdev(values):.3f})"
        )
    return (
        f"The original, {len(runs)} seeds: {', '.join(parts)}.\nA box that stays where it was put "
        f"has a mean overlap of {results['data']['staying']:.3f}.\n"
    )


def limits(results: dict[str, Any]) -> str:
    """How much overlap each difference may cost at most, as its interval has it."""
    lows = {}
    for name in ABLATIONS:
        mean, half = interval(effects(results, name, "overlap"))
        lows[name] = mean - half
    order = sorted(lows, key=lambda name: -lows[name])
    return ", ".join(f"`{name}` {-lows[name]:.3f}" for name in order) + ".\n"


def data(results: dict[str, Any]) -> str:
    """A paragraph about what was trained with."""
    known = results["data"]
    return (
        f"{known['stills']} stills with {known['boxes']} boxes, half of them with one large "
        f"object, half crowded with small ones, so that drawing boxes evenly takes "
        f"{100 * known['crowded']:.0f} % of the stills' examples from the crowded half. "
        f"{known['videos']} videos of {known['shortest']} to {known['longest']} frames: drawn by "
        f"pairs, they weigh as much as {known['as many as']} equal ones. The same data for every "
        f"run.\n"
    )


WRITTEN = (baseline, table, limits, data)
"""What the page shows between the marks of that name."""


def write_page(results: dict[str, Any]) -> None:
    """Put each part between its marks."""
    text = PAGE.read_text()
    for make in WRITTEN:
        begin, end = f"<!-- {make.__name__} -->\n", f"<!-- end of {make.__name__} -->"
        head, rest = text.split(begin)
        text = head + begin + make(results) + end + rest.split(end)[1]
    with replacing(PAGE) as file:
        file.write(text.encode())


def draw(results: dict[str, Any], path: Path) -> None:
    """The effect on mean overlap: a point for each seed, the mean and its interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(ABLATIONS)
    figure, axes = pyplot.subplots(figsize=(7, 0.34 * len(names) + 1))
    for row, name in enumerate(reversed(names)):
        values = effects(results, name, "overlap")
        mean, half = interval(values)
        axes.errorbar(mean, row, xerr=half, fmt="o", color="#1f4e79", capsize=3)
        axes.plot(values, [row + 0.22] * len(values), ".", color="#999999", markersize=4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xlabel("mean overlap, difference to the original (95 % interval; dots: seeds)")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--only", nargs="+", default=[ORIGINAL, *ABLATIONS])
    given = parser.parse_args()
    if given.what == "run":
        run_all(given.seeds, given.only)
        return
    DOCS.mkdir(exist_ok=True)
    committed = DOCS / "results.json"
    results = collect() or json.loads(committed.read_text())
    with replacing(committed) as file:
        file.write((json.dumps(results, indent=1) + "\n").encode())
    write_page(results)
    draw(results, DOCS / "effects.png")


if __name__ == "__main__":
    main()
