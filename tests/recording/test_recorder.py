"""The recorder in a stand-in for pycaffe: what it writes, what it refuses, where it runs."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import torchcaffe
from torchcaffe.errors import InputError
from torchcaffe.parity.verify import use_recorded_params, verify
from torchcaffe.recording import read_recording, write_recorder
from torchcaffe.recording.recorder import NAME

HERE = Path(__file__).parent
SOURCE = Path(torchcaffe.__file__).parent / "recording" / NAME
NET = """\
name: "Fake"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
LIBRARY = {
    "__future__", "argparse", "datetime", "hashlib", "io", "json", "os", "platform", "shutil",
    "sys", "zipfile",
}  # fmt: skip
NEW_SYNTAX = (
    ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.YieldFrom, ast.Nonlocal,
    ast.MatMult, ast.Match,
)  # fmt: skip


def run(
    folder: Path, *args: str, fake: str = "new", python: str = sys.executable, net: str = NET
) -> subprocess.CompletedProcess[str]:
    """Run the recorder in ``folder`` as a person would, with the stand-in for caffe."""
    (folder / "net.prototxt").write_text(net)
    path = os.pathsep.join([str(HERE / "fake"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [python, "-B", str(SOURCE), *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "FAKE_CAFFE": fake},
        capture_output=True,
        text=True,
    )


def recorded(folder: Path, *args: str, fake: str = "new") -> Path:
    done = run(folder, "net.prototxt", *args, "-o", "recording", fake=fake)
    assert done.returncode == 0, done.stderr
    return folder / "recording"


def labels(folder: Path) -> list[str]:
    """Options that give both inputs."""
    generator = np.random.default_rng(1701)
    np.save(folder / "data.npy", generator.standard_normal((6, 3)).astype(np.float32))
    np.save(folder / "label.npy", np.array([0, 4, 2, 2, 1, 3]))
    return ["--input", "data=data.npy", "--input", "label=label.npy"]


def test_records_every_blob_before_a_later_layer_changes_it(tmp_path: Path) -> None:
    found = read_recording(recorded(tmp_path))
    assert [layer.name for layer in found.layers] == ["data", "label", "ip", "relu", "loss"]
    before, after = found.value(2, "ip"), found.value(3, "ip")
    assert before.min() < 0
    assert np.array_equal(after, np.maximum(before, 0))
    assert found.loss == pytest.approx(float(found.final("loss")))
    assert found.net_text == NET
    assert (found.phase, found.seed, found.outputs) == ("TEST", 1701, ("loss",))


def test_says_what_it_made_of_inputs_that_were_not_given(tmp_path: Path) -> None:
    done = run(tmp_path, "net.prototxt", "-o", "recording")
    assert "input data (4, 3): normal numbers" in done.stdout
    assert "input label (4,): whole numbers below 5" in done.stdout
    assert "recorded 5 layers of net.prototxt in TEST: recording" in done.stdout
    assert set(read_recording(tmp_path / "recording").inputs["label"]) <= set(range(5))


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(tmp_path, "net.prototxt", "-o", name, "--backward").returncode == 0
    for name in ("arrays.npz", "recording.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("fake", ["new", "old"])
def test_what_it_records_can_be_verified(tmp_path: Path, fake: str) -> None:
    given = labels(tmp_path)
    folder = recorded(tmp_path, *given, "--backward", "--phase", "TRAIN", fake=fake)
    found = read_recording(folder)
    net = torchcaffe.load(folder / "net.prototxt", phase="TRAIN", inputs=found.shapes)
    use_recorded_params(net, found)
    verification = verify(net, found)
    assert verification.passed, verification.verdict
    assert len(verification.of("blob")) == 3
    assert len(verification.of("parameter gradient")) == 2


def test_an_old_pycaffe_gives_the_same_recording(tmp_path: Path) -> None:
    given = labels(tmp_path)
    (tmp_path / "old").mkdir()
    shutil.copy(tmp_path / "data.npy", tmp_path / "old")
    shutil.copy(tmp_path / "label.npy", tmp_path / "old")
    np.save(tmp_path / "weights.npy", np.arange(15, dtype=np.float32).reshape(5, 3) / 7 - 1)
    shutil.copy(tmp_path / "weights.npy", tmp_path / "old")
    new = read_recording(recorded(tmp_path, "weights.npy", *given))
    old = read_recording(recorded(tmp_path / "old", "weights.npy", *given, fake="old"))
    assert old.seed is None
    assert old.layers[2].bottoms is None
    for place, layer in enumerate(new.layers):
        for name in layer.tops:
            assert np.array_equal(new.value(place, name), old.value(place, name))


def test_gradients_are_of_each_layer_and_of_the_whole(tmp_path: Path) -> None:
    found = read_recording(recorded(tmp_path, "--backward"))
    assert found.has_gradients
    diffs = found.bottom_diffs(4)
    assert diffs is not None
    assert np.allclose(diffs[0].sum(1), 0, atol=1e-6)
    above, below = diffs[0], found.bottom_diffs(3)
    assert below is not None
    assert np.array_equal(below[0], above * (found.value(3, "ip") > 0))
    assert np.array_equal(found.diffs["ip"], below[0])
    assert found.param("ip", 1, "diff") == pytest.approx(below[0].sum(0), abs=1e-6)


def test_checksums_alone_stand_for_parameters(tmp_path: Path) -> None:
    found = read_recording(recorded(tmp_path, "--no-weights"))
    assert [param.stored for param in found.params] == [False, False]
    net = torchcaffe.load(found.path / "net.prototxt", inputs=found.shapes)
    wrong = [row for row in verify(net, found).of("parameter") if not row.passed]
    assert len(wrong) == 2
    assert wrong[0].chained is not None
    assert wrong[0].chained.reason == "the checksums differ"


def test_a_training_run_is_recorded_beside_the_pass(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt"')
    folder = recorded(tmp_path, "--solver", "solver.prototxt", "--iterations", "4")
    training = read_recording(folder).training
    assert training is not None
    assert training["solver"] == 'net: "net.prototxt"'
    losses = [iteration["outputs"]["loss"] for iteration in training["iterations"]]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    sums = [iteration["params"][0]["sha256"] for iteration in training["iterations"]]
    assert len(set(sums)) == 4
    assert sums[-1] == training["after"][0]["sha256"]


@pytest.mark.parametrize(
    ("args", "fake", "words"),
    [
        (["absent.prototxt"], "new", "there is no file absent.prototxt"),
        (["net.prototxt", "absent.caffemodel"], "new", "there is no file absent.caffemodel"),
        (["net.prototxt", "--input", "data"], "new", "--input takes NAME=FILE.npy, got data"),
        (["net.prototxt", "--input", "data=no.npy"], "new", "data: there is no file no.npy"),
        (["net.prototxt", "--input", "data=net.prototxt"], "new", "is not a .npy file"),
        (["net.prototxt", "--input", "x=x.npy"], "new", '"x" is not an input of the net'),
        (["net.prototxt", "--seed", "-1"], "new", "--seed takes a whole number from 0 to"),
        (["net.prototxt"], "unfed", 'layer "data" is a MemoryData layer'),
        (["net.prototxt"], "old", "does not tell which inputs are labels; give all of them: "),
        (["net.prototxt", "--backward"], "lossless", "the backward pass computed no gradient"),
    ],
)  # fmt: skip
def test_refuses(tmp_path: Path, args: list[str], fake: str, words: str) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    done = run(tmp_path, *args, "-o", "recording", fake=fake)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"net.prototxt", "x.npy"}, "something half written was left"


def test_refuses_to_overwrite(tmp_path: Path) -> None:
    recorded(tmp_path)
    done = run(tmp_path, "net.prototxt", "-o", "recording")
    assert done.returncode == 1
    assert "recording is there already" in done.stderr


def test_says_how_to_find_a_caffe_that_python_does_not(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    done = subprocess.run(
        [sys.executable, "-I", str(SOURCE), "net.prototxt", "-o", "recording"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Python cannot import caffe" in done.stderr
    assert "PYTHONPATH=CAFFE/python" in done.stderr


def test_names_what_ran(tmp_path: Path) -> None:
    versions = json.loads((recorded(tmp_path) / "recording.json").read_text())["versions"]
    assert set(versions) == {"caffe", "numpy", "python", "platform", "mode", "blas"}
    assert versions["caffe"] == "unknown, before 1.0"
    assert versions["mode"] == "CPU"
    assert str(tmp_path) not in json.dumps(versions)


def test_imports_nothing_but_pycaffe_numpy_and_the_library() -> None:
    tree = ast.parse(SOURCE.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == LIBRARY | {"numpy", "caffe"}


def test_is_written_in_what_python_2_and_3_share() -> None:
    source = SOURCE.read_bytes()
    assert source.decode("ascii")
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, NEW_SYNTAX), ast.dump(node)
        if isinstance(node, ast.Raise):
            assert node.cause is None
        if isinstance(node, ast.FunctionDef):
            assert not node.args.kwonlyargs
            assert node.returns is None
            assert all(argument.annotation is None for argument in node.args.args)
        if isinstance(node, ast.ClassDef):
            assert node.bases, f"class {node.name} takes a base, or Python 2 makes an old one"


def interpreters() -> list[str]:
    """The older and newer Pythons on the path that start."""
    names = ["python2.7", *(f"python3.{minor}" for minor in range(6, 15))]
    paths = [path for path in map(shutil.which, names) if path]
    starts = [subprocess.run([path, "-c", "pass"], capture_output=True) for path in paths]
    return [path for path, done in zip(paths, starts, strict=True) if done.returncode == 0]


@pytest.mark.parametrize("python", interpreters() or [sys.executable])
def test_compiles_under_every_python_of_this_machine(python: str) -> None:
    code = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')"
    done = subprocess.run([python, "-c", code, str(SOURCE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_write_recorder(tmp_path: Path) -> None:
    path = write_recorder(tmp_path)
    assert path == tmp_path / NAME
    assert path.read_bytes() == SOURCE.read_bytes()
    assert write_recorder(tmp_path / "other.py").name == "other.py"
    assert write_recorder(path) == path, "the same again is no other file"
    assert {entry.name for entry in tmp_path.iterdir()} == {NAME, "other.py"}


def test_write_recorder_refuses(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("mine")
    with pytest.raises(InputError, match="another file stands there already"):
        write_recorder(tmp_path / "mine.py")
    assert (tmp_path / "mine.py").read_text() == "mine"
    with pytest.raises(InputError, match="there is no folder"):
        write_recorder(tmp_path / "absent" / "r.py")
