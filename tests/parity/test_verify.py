"""Nets against recordings of real Caffe: the right one passes, each wrong one is named."""

import copy
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchcaffe
from torchcaffe.errors import RecordingError
from torchcaffe.layers._exactness import bitwise
from torchcaffe.net import CaffeNet
from torchcaffe.parity.verification import Verification
from torchcaffe.parity.verify import use_recorded_params, verify
from torchcaffe.recording import read_recording

RECORDINGS = Path(__file__).parent.parent / "goldens" / "recordings"
TRAIN, SEGMENT = RECORDINGS / "train", RECORDINGS / "segment"
WEIGHTS = RECORDINGS / "segment.caffemodel"


def load(folder: Path, change: Callable[[str], str] = str, weights: Path | None = None) -> CaffeNet:
    """The recorded net, its prototxt changed first, with the recorded parameters."""
    found = read_recording(folder)
    text = change(found.net_text)
    path = folder.parent / f"{folder.name}.prototxt"
    path.write_text(text)
    net = torchcaffe.load(path, weights, phase=found.phase, inputs=found.shapes)
    if weights is None:
        use_recorded_params(net, found)
    return net


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    path = folder / "recording.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def tamper(folder: Path, layer: str, change: Callable[[np.ndarray], None]) -> None:
    """Change what a layer's first top is recorded to hold, and nothing else."""
    found = read_recording(folder)
    place = [each.name for each in found.layers].index(layer)
    values = found.value(place, found.layers[place].tops[0])
    change(values)
    file = io.BytesIO()
    np.save(file, values)
    with zipfile.ZipFile(folder / "arrays.npz", "a") as arrays:
        arrays.writestr("changed.npy", file.getvalue())
    edit(folder, lambda index: index["layers"][place]["tops"][0].update(array="changed"))


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TRAIN, tmp_path / "train"))


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEGMENT, tmp_path / "segment"))


def first(found: Verification) -> tuple[str, str, bool]:
    """Kind and layer of the first difference, and whether the layer alone shows it."""
    row = found.first_difference
    assert row is not None
    return row.kind, row.layer, row.local is not None and not row.local.passed


def test_a_training_net_with_gradients(train: Path) -> None:
    found = verify(load(train), read_recording(train))
    assert found.passed, found.verdict
    kinds = {kind: len(found.of(kind)) for kind in {row.kind for row in found.rows}}
    assert kinds == {
        "parameter": 11,
        "blob": 13,
        "statistic": 3,
        "gradient": 14,
        "parameter gradient": 8,
    }
    assert found.verdict.startswith(
        '"Train" is the same network: 13 blobs and 22 gradients compared with Caffe, first '
        "difference: none."
    )


def test_rows_stand_in_net_order_and_gradients_in_the_order_of_the_backward_pass(
    train: Path,
) -> None:
    found = verify(load(train), read_recording(train))
    depths = [row.depth for row in found.of("blob")]
    assert depths == sorted(depths)
    back = [row.depth for row in found.of("gradient", "parameter gradient")]
    assert back == sorted(back, reverse=True)
    chain = [row.layer for row in found.of("blob") if row.name == "conv1"]
    assert chain == ["conv1", "bn1", "scale1", "relu1"]


def test_a_layer_alone_is_held_to_its_own_class_and_often_equal(train: Path) -> None:
    rows = {row.layer: row for row in verify(load(train), read_recording(train)).of("blob")}
    for layer in ("relu1", "pool1", "sum", "drop", "accuracy"):
        local = rows[layer].local
        assert local is not None
        assert local.met == local.allowed == bitwise()
    chained = rows["relu1"].chained
    assert chained is not None
    assert chained.allowed > bitwise()


def test_weights_from_a_file_are_held_against_checksums(segment: Path) -> None:
    found = verify(load(segment, weights=WEIGHTS), read_recording(segment))
    assert found.passed, found.verdict
    assert {row.chained.reason for row in found.of("parameter") if row.chained} == {
        "equal checksums"
    }
    assert any("recorded as checksums" in note for note in found.notes)


def test_the_net_is_left_as_it_was(train: Path) -> None:
    net = load(train)
    state, stream = copy.deepcopy(net.state_dict()), net.stream.state.copy()
    verify(net, read_recording(train))
    assert np.array_equal(net.stream.state, stream)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_it_says_what_is_left_out(train: Path) -> None:
    notes = verify(load(train), read_recording(train)).notes
    assert any("3 Split layers" in note for note in notes)
    assert any("training run of 3 iterations" in note for note in notes)


def test_both_sides_are_told(train: Path) -> None:
    found = verify(load(train), read_recording(train))
    assert found.versions["caffe"] == "1.0.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.versions["recorded"])
    assert found.settings["device"] == "cpu, float32"
    assert found.settings["torch"] == torch.__version__


WRONG: dict[str, tuple[Callable[[str], str], str, bool]] = {
    "eps": (replaced('"BatchNorm" bottom: "conv1" top: "conv1"',
            '"BatchNorm" bottom: "conv1" top: "conv1" batch_norm_param { eps: 1e-4 }'),
            "bn1", True),
    "global statistics": (replaced('"BatchNorm" bottom: "conv1" top: "conv1"',
            '"BatchNorm" bottom: "conv1" top: "conv1" '
            "batch_norm_param { use_global_stats: true }"), "bn1", True),
    "alpha": (replaced("alpha: 0.2", "alpha: 0.20001"), "norm", True),
    "local size": (replaced("local_size: 3", "local_size: 5"), "norm", True),
    "window": (replaced("pool: AVE kernel_size: 2", "pool: AVE kernel_size: 3"), "pool2", True),
    "average": (replaced("pool: AVE", "pool: MAX"), "pool2", True),
    "ratio": (replaced("dropout_ratio: 0.4", "dropout_ratio: 0.41"), "drop", True),
    "slope": (replaced('"ReLU" bottom: "conv1" top: "conv1"',
            '"ReLU" bottom: "conv1" top: "conv1" relu_param { negative_slope: 1e-6 }'),
            "relu1", True),
    "sum": (replaced('bottom: "branch" top: "sum"',
            'bottom: "branch" top: "sum" eltwise_param { coeff: 1 coeff: 1.00001 }'), "sum", True),
    "loss": (replaced('bottom: "label" top: "loss"',
            'bottom: "label" top: "loss" loss_param { normalization: BATCH_SIZE ignore_label: 2 }'),
            "loss", True),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::torchcaffe.errors.NetWarning")
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_found_where_it_is(train: Path, name: str) -> None:
    change, layer, alone = WRONG[name]
    found = verify(load(train, change), read_recording(train))
    assert not found.passed
    assert first(found) == ("blob", layer, alone)
    assert f'layer "{layer}"' in found.verdict
    assert "given Caffe's own input, this layer alone gives other numbers" in found.verdict


def test_other_weights_are_said_to_be_others(train: Path) -> None:
    net = load(train)
    with torch.no_grad():
        net.params["fc"][0].view(-1)[3].mul_(1 + 2**-20)
    found = verify(net, read_recording(train))
    assert first(found)[:2] == ("parameter", "fc")
    assert "has other weights than the recorded net: 1 of 11 parameter blobs" in found.verdict
    assert "Give the weights file that was recorded." in found.verdict


def test_a_wrong_gradient_is_found_where_it_is(train: Path) -> None:
    net = load(train, replaced("param { lr_mult: 1 }", "param { lr_mult: 0 }"))
    found = verify(net, read_recording(train))
    assert not found.passed
    assert first(found)[:2] == ("parameter gradient", "conv1")
    assert "1 of 22 gradients differs" in found.verdict


def test_one_element_that_is_off_by_a_little_is_found(train: Path) -> None:
    def change(values: np.ndarray) -> None:
        values[2, 1] *= np.float32(1 + 1e-5)

    tamper(train, "fc", change)
    found = verify(load(train), read_recording(train))
    assert first(found)[:2] == ("blob", "fc")
    row = found.first_difference
    assert row is not None
    assert row.local is not None
    assert row.local.index == (2, 1)


def test_one_nan_is_found(train: Path) -> None:
    def change(values: np.ndarray) -> None:
        values[0, 0, 0, 0] = np.nan

    tamper(train, "pool2", change)
    found = verify(load(train), read_recording(train))
    assert first(found)[:2] == ("blob", "pool2")
    assert "the patterns of NaN and infinity differ" in found.verdict


def test_a_difference_is_not_laid_at_the_door_of_later_layers(train: Path) -> None:
    """Alone, on Caffe's own input, a layer behind the wrong one is right."""
    found = verify(load(train, WRONG["alpha"][0]), read_recording(train))
    wrong = {row.layer for row in found.of("blob") if row.local and not row.local.passed}
    assert wrong == {"norm"}
    behind = {row.layer for row in found.of("blob") if row.chained and not row.chained.passed}
    assert {"norm", "pool2", "fc"} <= behind


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced('name: "norm"', 'name: "lrn"'), 'where it has layer "norm", this net has "lrn"'),
        (
            lambda text: text + 'layer { name: "quiet" type: "Silence" bottom: "accuracy" }',
            "it has 16 layers, this net has 17",
        ),
    ],
)
def test_another_net_is_refused(train: Path, change: Callable[[str], str], words: str) -> None:
    path = train.parent / "other.prototxt"
    path.write_text(change(read_recording(train).net_text))
    recording = read_recording(train)
    net = torchcaffe.load(path, phase="TRAIN", inputs=recording.shapes)
    with pytest.raises(RecordingError) as caught:
        verify(net, recording)
    assert f"is of another net: {words}. Give the prototxt that was recorded" in str(caught.value)


def test_another_phase_is_refused(train: Path) -> None:
    recording = read_recording(train)
    net = torchcaffe.load(train / "net.prototxt", phase="TEST", inputs=recording.shapes)
    with pytest.raises(RecordingError, match="was recorded in phase TRAIN, the net is in phase"):
        verify(net, recording)


def test_an_input_without_values_is_refused(train: Path) -> None:
    net = load(train)
    edit(train, lambda index: index["inputs"].pop())
    with pytest.raises(RecordingError, match="holds no values for the net's input label"):
        verify(net, read_recording(train))


def test_random_layers_without_a_seed_are_refused(train: Path) -> None:
    net = load(train)
    edit(train, lambda index: index.update(seed=None))
    with pytest.raises(RecordingError, match=r'without a seed, and layer "drop" draws random'):
        verify(net, read_recording(train))


def test_parameters_that_are_not_there_cannot_be_used(segment: Path) -> None:
    with pytest.raises(RecordingError, match="no values are stored, only its checksum"):
        load(segment)


def test_parameters_of_another_shape_cannot_be_used(train: Path) -> None:
    with pytest.raises(RecordingError) as caught:
        load(train, replaced("num_output: 5", "num_output: 6"))
    assert 'layer "fc", blob 0 is 5x32 there, this net has 6x32, 6' in str(caught.value)


def test_nothing_compared_is_a_failure(train: Path) -> None:
    def change(index: Any) -> None:
        index["layers"] = [layer for layer in index["layers"] if layer["type"] == "Input"]
        index["params"] = []
        del index["diffs"]

    edit(train, change)
    text = read_recording(train).net_text
    path = train.parent / "inputs.prototxt"
    path.write_text("\n".join(line for line in text.splitlines() if '"Input"' in line))
    recording = read_recording(train)
    net = torchcaffe.load(path, phase="TRAIN", inputs=recording.shapes)
    found = verify(net, recording)
    assert not found.passed
    assert found.verdict.startswith("Nothing was compared")
