"""The command line as a person meets it: what it prints, what it refuses, what it leaves."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

import torchcaffe
from torchcaffe.cli import cli, main
from torchcaffe.weights import save_weights

NET = """name: "tiny"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in an empty folder: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> Outcome:
        try:
            main(list(args))
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


@pytest.fixture
def weights(net: Path) -> Path:
    path = net.with_name("weights.caffemodel")
    save_weights(torchcaffe.load(net, seed=1), path)
    return path


def test_inspect_shows_every_layer_and_the_totals(run: Run, net: Path) -> None:
    status, out, err = run("inspect", str(net))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[2].split() == ["conv", "Convolution", "data", "conv", "1x4x6x6", "112", "3,888"]
    assert lines[-2] == "tiny (TEST): 5 layers, 982 parameters, 4,752 multiply-adds"
    assert lines[-1] == "inputs: data 1x3x8x8; outputs: prob"


def test_inspect_as_json(run: Run, net: Path) -> None:
    status, out, _ = run("inspect", str(net), "--json", "--shape", "data=2,3,8,8")
    found = json.loads(out)
    assert status == 0
    assert found["layers"][1]["shapes"] == [[2, 4, 6, 6]]
    assert found["parameters"] == 982


def test_run_saves_every_blob(run: Run, net: Path, weights: Path) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    np.save("x.npy", x)
    status, out, err = run(
        "run", str(net), str(weights), "--input", "data=x.npy", "-o", "blobs.npz"
    )
    assert (status, out, err) == (0, "4 blobs in blobs.npz\n", "")
    with np.load("blobs.npz") as blobs:
        assert blobs.files == ["data", "conv", "fc", "prob"]
        expected = torchcaffe.load(net, weights)(x)["prob"].detach().numpy()
        assert np.array_equal(blobs["prob"], expected)


def test_run_prints_outputs_and_the_five_best_labels(run: Run, net: Path, weights: Path) -> None:
    np.save("x.npy", np.ones((1, 3, 8, 8), np.float32))
    Path("labels.txt").write_text("".join(f"label {index}\n" for index in range(6)))
    arguments = ["run", str(net), str(weights), "--input", "data=x.npy"]
    assert run(*arguments)[1].startswith("prob 1x6: 0.")
    status, out, _ = run(*arguments, "--labels", "labels.txt")
    assert status == 0
    assert out.splitlines()[0] == "prob"
    assert len(out.splitlines()) == 6
    assert run(*arguments, "--until", "conv")[1].startswith("conv 1x4x6x6: ")


def test_run_takes_images_in_caffes_order(run: Run, net: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (10, 12, 3), np.uint8)
    cv2.imwrite("image.png", image)
    arguments = ["--mean", "1,2,3", "--scale", "0.5", "--resize", "9,8", "-o", "blobs.npz"]
    status, _, err = run("run", str(net), "--input", "data=image.png", *arguments)
    assert (status, err) == (0, "")
    resized = cv2.resize(image, (8, 9), interpolation=cv2.INTER_LINEAR)[:8]
    mean = np.array([1, 2, 3], np.float32)
    expected = ((resized.astype(np.float32) - mean) * np.float32(0.5)).transpose(2, 0, 1)
    with np.load("blobs.npz") as blobs:
        assert np.array_equal(blobs["data"][0], expected)
    run("run", str(net), "--input", "data=image.png", "--channel-order", "RGB", *arguments)
    swapped = ((resized[:, :, ::-1].astype(np.float32) - mean) * np.float32(0.5)).transpose(2, 0, 1)
    with np.load("blobs.npz") as blobs:
        assert np.array_equal(blobs["data"][0], swapped)


def test_the_same_seed_gives_the_same_answer(run: Run, net: Path) -> None:
    np.save("x.npy", np.ones((1, 3, 8, 8), np.float32))
    arguments = ["run", str(net), "--input", "data=x.npy"]
    assert run(*arguments, "--seed", "5") == run(*arguments, "--seed", "5")
    assert run(*arguments, "--seed", "5") != run(*arguments, "--seed", "6")


def test_convert_says_what_it_wrote(run: Run, net: Path, weights: Path, tmp_path: Path) -> None:
    status, out, err = run("convert", str(net), str(weights), "-o", "tiny")
    assert (status, err) == (0, "")
    assert "class Tiny" in out
    assert out.splitlines()[-1] == "largest difference from the net on 1 output: 0"
    written = sorted(path.name for path in (tmp_path / "tiny").iterdir())
    assert written == ["README.md", "model.py", "model.safetensors"]


def test_record_writes_the_recorder(run: Run) -> None:
    status, out, _ = run("record")
    assert status == 0
    assert out.startswith("record_caffe.py: run it where your Caffe runs:")
    compile(Path("record_caffe.py").read_text(), "record_caffe.py", "exec")


def test_layers_lists_and_explains(run: Run) -> None:
    status, out, _ = run("layers")
    assert status == 0
    assert "Convolution" in out
    status, out, _ = run("layers", "LRN")
    assert out.startswith("LRN (accumulated(8))\n\ny = ")
    assert run("layers", "Conv")[2].startswith('torchcaffe: type "Conv" is not a layer')


LIE = b"\xa2\x06" + b"\xff\xff\xff\xff\x07" + b"\0" * 1000
"""Field 100 (layer) of 2,147,483,647 bytes, in a file of one kilobyte."""


def bad_net(old: str, new: str) -> Callable[[Path], list[str]]:
    def arguments(folder: Path) -> list[str]:
        assert old in NET
        (folder / "bad.prototxt").write_text(NET.replace(old, new))
        return ["inspect", "bad.prototxt"]

    return arguments


def bad_weights(damage: Callable[[bytes], bytes]) -> Callable[[Path], list[str]]:
    def arguments(folder: Path) -> list[str]:
        whole = (folder / "weights.caffemodel").read_bytes()
        (folder / "bad.caffemodel").write_bytes(damage(whole))
        return ["convert", "net.prototxt", "bad.caffemodel", "-o", "out"]

    return arguments


def grey_image(folder: Path) -> list[str]:
    cv2.imwrite(str(folder / "grey.png"), np.zeros((8, 8), np.uint8))
    return ["run", "net.prototxt", "--input", "data=grey.png", "-o", "out"]


def other_names(folder: Path) -> list[str]:
    text = NET.replace('name: "conv"', 'name: "c"').replace('name: "fc"', 'name: "f"')
    (folder / "bad.prototxt").write_text(text)
    return ["convert", "bad.prototxt", "weights.caffemodel", "-o", "out"]


def larger_input(folder: Path) -> list[str]:
    (folder / "bad.prototxt").write_text(NET.replace("dim: 8 dim: 8", "dim: 9 dim: 9"))
    return ["convert", "bad.prototxt", "weights.caffemodel", "-o", "out"]


BAD = {
    "truncated": (bad_weights(lambda data: data[:-100]), "is truncated"),
    "announces 2 GB": (bad_weights(lambda data: LIE), "announces 2 147 483 647 bytes"),
    "empty": (bad_weights(lambda data: b""), "is empty"),
    "a torch file": (bad_weights(lambda data: b"PK\x03\x04" + data), "a zip archive"),
    "other shapes": (
        larger_input,
        'bad.prototxt:7: layer "fc" (InnerProduct), blob 0: the weights are (6, 144), the net '
        "wants (6, 196)",
    ),
    "other names": (other_names, "has weights for none of the net's layers"),
    "misspelt": (
        bad_net("kernel_size", "kernal_size"),
        'bad.prototxt:5:43: unknown field "kernal_size" in ConvolutionParameter. Did you mean '
        '"kernel_size"?',
    ),
    "missing bottom": (
        bad_net('bottom: "fc"', 'bottom: "fx"'),
        'layer "prob" (Softmax): bottom "fx" is not the top of any earlier layer',
    ),
    "duplicated top": (bad_net('top: "prob"', 'top: "data"'), "made by an earlier layer already"),
    "unknown type": (bad_net('"Softmax"', '"Softmacks"'), 'Did you mean "Softmax"?'),
    "cycle": (bad_net('bottom: "data"', 'bottom: "fc"'), "a net has no cycles"),
    "no path": (lambda folder: ["inspect", "nowhere.prototxt"], "nowhere.prototxt does not exist"),
    "a folder": (lambda folder: ["inspect", "."], ". is a folder"),
    "grey image": (grey_image, "grey.png has 1 channel where the input wants 3"),
    "no image": (
        lambda folder: ["run", "net.prototxt", "--input", "data=net.prototxt", "-o", "out"],
        "net.prototxt does not decode as an image",
    ),
    "no input": (
        lambda folder: ["run", "net.prototxt", "-o", "out"],
        'input "data" is missing; the net takes data (1x3x8x8)',
    ),
    "no such layer": (
        lambda folder: ["run", "net.prototxt", "--until", "conv9"],
        'the net has no layer "conv9"',
    ),
    "no such device": (
        lambda folder: ["run", "net.prototxt", "--device", "quantum"],
        '--device "quantum" cannot be used',
    ),
    "bad assignment": (
        lambda folder: ["run", "net.prototxt", "--input", "x.npy"],
        '--input takes NAME=FILE, got "x.npy"',
    ),
    "bad shape": (
        lambda folder: ["inspect", "net.prototxt", "--shape", "data=3,x"],
        '--shape takes NAME=N,C,H,W, got "data=3,x"',
    ),
    "no recording": (
        lambda folder: ["verify", "net.prototxt", "weights.caffemodel", "nowhere"],
        "nowhere",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(
    run: Run, net: Path, weights: Path, tmp_path: Path, name: str
) -> None:
    arguments, words = BAD[name]
    given = arguments(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, err = run(*given)
    assert status == 1
    assert out == ""
    assert err.startswith("torchcaffe: ") and err.count("\n") == 1, err
    assert words in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "something was left"


def test_a_traceback_only_with_debug(run: Run) -> None:
    assert "Traceback" not in run("inspect", "nowhere")[2]
    assert "Traceback" in run("--debug", "inspect", "nowhere")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["isnpect"], 'there is no command "isnpect". Did you mean "inspect"?'),
        (["inspect"], "Missing argument 'NET'"),
        (["inspect", "net", "--phase", "VAL"], "'VAL' is not one of"),
        (["convert", "net"], "Missing option '-o'"),
        (["verify", "net"], "takes NET, WEIGHTS (which may be left out) and RECORDING"),
    ],
)
def test_wrong_usage_has_status_two(run: Run, arguments: list[str], words: str) -> None:
    status, _, err = run(*arguments)
    assert status == 2
    assert words in err
    assert "Traceback" not in err


def test_the_lie_is_what_it_says() -> None:
    assert len(LIE) < 1024 and struct.unpack_from("<I", LIE[2:])[0] == 0xFFFFFFFF


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_has_help_that_ends_in_an_example(run: Run, name: str) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"torchcaffe {name}" in out.split("Example:")[1]
