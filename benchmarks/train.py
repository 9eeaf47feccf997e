"""Training on the CPU: iterations a second, and whether reading the data hides behind computing.

OMP_NUM_THREADS=1 python benchmarks/train.py

LeNet (64 images of 28x28) and CIFAR-10 quick (100 of 32x32, a mean image) as in examples/, and
CaffeNet (50 JPEG images of 256x256, cropped to 227 and mirrored). Each is trained in turn with its
data layer and on one batch that stays in memory, in the same process. "waits" is the share of the
time that training stands still until its batch is there; "alone" how long the data layer takes for
a batch when nothing is computed beside it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from _nets import caffenet
from _peers import in_turn

from torchcaffe.data import compute_image_mean, write_lmdb
from torchcaffe.net import CaffeNet
from torchcaffe.proto import encode, parse_text, read_net
from torchcaffe.proto.schema import Datum, NetParameter, SolverParameter
from torchcaffe.solvers.solver import Solver

EXAMPLES = Path(__file__).parent.parent / "examples"
SOLVER = 'base_lr: 0.001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 random_seed: 1701'
COUNT = 512
"""Images in a database."""

CAFFENET_DATA = """
layer { name: "data" type: "Data" top: "data" top: "label"
        transform_param { mirror: true crop_size: 227 mean_value: 104 mean_value: 117
                          mean_value: 123 }
        data_param { source: "jpeg" backend: LMDB batch_size: 50 } }
"""
CAFFENET_LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""


def raw(channels: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Records of noise."""
    random = np.random.default_rng(1701)
    for number in range(COUNT):
        data = random.integers(0, 256, channels * size * size, np.uint8).tobytes()
        shape = {"channels": channels, "height": size, "width": size}
        yield f"{number:08d}".encode(), encode(Datum(data=data, label=number % 10, **shape))


def jpeg() -> Iterator[tuple[bytes, bytes]]:
    """Encoded images of 256x256 that are smooth, as photographs are."""
    random = np.random.default_rng(1701)
    for number in range(COUNT):
        image = cv2.resize(random.integers(0, 256, (24, 24, 3), np.uint8), (256, 256))
        data = cv2.imencode(".jpg", image)[1].tobytes()
        yield f"{number:08d}".encode(), encode(Datum(encoded=True, data=data, label=number % 10))


def caffenet_training() -> NetParameter:
    """CaffeNet between its data and its loss, with the dropout that it is trained with."""
    net = parse_text(caffenet(), NetParameter, "caffenet")
    layers = [layer for layer in net.layer if layer.type not in ("Input", "Softmax")]
    for name in ("fc6", "fc7"):
        place = next(i for i, layer in enumerate(layers) if layer.name == f"relu_{name}")
        text = f'layer {{ name: "drop_{name}" type: "Dropout" bottom: "{name}" top: "{name}" }}'
        layers[place + 1 : place + 1] = parse_text(text, NetParameter).layer
    first, last = (parse_text(text, NetParameter).layer for text in (CAFFENET_DATA, CAFFENET_LOSS))
    return NetParameter(name="CaffeNet", layer=[*first, *layers, *last])


def nets() -> dict[str, tuple[NetParameter, int, int]]:
    """The nets by name, each with the rounds to measure and the iterations of a round."""
    return {
        "LeNet": (read_net(EXAMPLES / "mnist" / "lenet.prototxt"), 9, 20),
        "CIFAR-10 quick": (read_net(EXAMPLES / "cifar10" / "quick.prototxt"), 9, 10),
        "CaffeNet": (caffenet_training(), 5, 1),
    }


def fixed(net: NetParameter) -> tuple[NetParameter, dict[str, torch.Tensor]]:
    """The net with an input for its data, and a batch of it."""
    reading = CaffeNet(net, "TRAIN", seed=1701)
    step = reading.steps[0]
    batch = {name: reading.run({}, until=step.name).blobs[name] for name in step.tops}
    shapes = " ".join(
        f"shape {{ {' '.join(f'dim: {size}' for size in value.shape)} }}"
        for value in batch.values()
    )
    tops = " ".join(f'top: "{name}"' for name in batch)
    text = f'layer {{ name: "in" type: "Input" {tops} input_param {{ {shapes} }} }}'
    others = [layer for layer in net.layer if layer.type != "Data"]
    first = parse_text(text, NetParameter).layer
    return NetParameter(name=net.name, layer=[*first, *others]), batch


def solver(net: NetParameter, **options: object) -> Solver:
    param = parse_text(SOLVER, SolverParameter)
    param.net_param = net
    return Solver(param, **options)  # type: ignore[arg-type]


def data_alone(net: NetParameter, batches: int) -> float:
    """Seconds for a batch of the data layer, with nothing beside it."""
    reading = CaffeNet(net, "TRAIN", seed=1701)
    layer = next(iter(reading.data_layers.values()))
    for _ in range(8):
        layer()
    start = time.perf_counter()
    for _ in range(batches):
        layer()
    return (time.perf_counter() - start) / batches


class Waiting:
    """Counts the seconds that a net waits for the batches of its data layer."""

    def __init__(self, net: CaffeNet) -> None:
        self.seconds = 0.0
        feed = next(iter(net.data_layers.values())).feed
        deliver = feed.batch

        def batch() -> tuple[np.ndarray, ...]:
            start = time.perf_counter()
            try:
                return deliver()
            finally:
                self.seconds += time.perf_counter() - start

        feed.batch = batch  # type: ignore[method-assign]


def measure(name: str, net: NetParameter, rounds: int, iterations: int) -> None:
    still, batch = fixed(net)
    with_data, without = solver(net), solver(still, batches=lambda _: batch)
    alone = data_alone(net, 40)
    waiting = Waiting(with_data.net)
    spent = 0.0

    def reading() -> None:
        nonlocal spent
        start = time.perf_counter()
        with_data.step(iterations)
        spent += time.perf_counter() - start

    runs = {"with its data": reading, "on one batch": lambda: without.step(iterations)}
    print(f"{name}: rounds of {iterations} iterations")
    in_turn(runs, rounds=rounds, peer="on one batch", warm_up=1)
    each = spent / (rounds + 1) / iterations
    print(
        f"  {1 / each:.1f} iterations a second; waits {waiting.seconds / spent:.1%}; "
        f"alone {1e3 * alone:.1f} ms a batch, {alone / each:.1%} of an iteration"
    )


def main() -> None:
    wanted = sys.argv[1:] or list(nets())
    print(f"{torch.get_num_threads()} threads compute, {os.cpu_count()} processors")
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            measured_in(Path(folder), name)


def measured_in(folder: Path, name: str) -> None:
    net, rounds, iterations = nets()[name]
    os.chdir(folder)
    Path("build").mkdir()
    if name == "CaffeNet":
        write_lmdb("jpeg", jpeg())
    else:
        write_lmdb("build/train_lmdb", raw(1, 28) if name == "LeNet" else raw(3, 32))
        compute_image_mean("build/train_lmdb", "build/mean.binaryproto")
    measure(name, net, rounds, iterations)
    os.chdir(EXAMPLES)


if __name__ == "__main__":
    main()
