"""Reading recordings of real Caffe, and naming every kind of damage in words."""

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchcaffe.errors import RecordingError
from torchcaffe.recording import Recording, read_recording

RECORDINGS = Path(__file__).parent.parent / "goldens" / "recordings"
TRAIN, SEGMENT = RECORDINGS / "train", RECORDINGS / "segment"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TRAIN, tmp_path / "train"))


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    path = folder / "recording.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def read_everything(path: Path) -> Recording:
    found = read_recording(path)
    for place, layer in enumerate(found.layers):
        for name in layer.tops:
            found.value(place, name)
        found.bottom_diffs(place)
    for param in found.params:
        if param.stored:
            found.param(*param.key)
    assert found.inputs is not None
    assert found.diffs is not None
    assert found.top_diffs is not None
    return found


def test_reads_what_real_caffe_did() -> None:
    found = read_everything(TRAIN)
    assert (found.phase, found.seed, found.outputs) == ("TRAIN", 1701, ("accuracy", "loss"))
    assert found.shapes == {"data": (6, 2, 11, 11), "label": (6,)}
    assert found.versions["caffe"] == "1.0.0"
    assert found.net_text.startswith('name: "Train"')
    assert found.layers[3].name == "conv1"
    assert found.layers[3].bottoms == ("data",)
    assert found.loss == pytest.approx(float(found.final("loss")))
    assert found.training is not None
    assert len(found.training["iterations"]) == 3


def test_blobs_are_told_apart_by_the_layer_they_come_from() -> None:
    found = read_recording(TRAIN)
    names = [layer.name for layer in found.layers]
    scale, relu = names.index("scale1"), names.index("relu1")
    assert relu == scale + 1
    assert np.array_equal(found.value(relu, "conv1"), np.maximum(found.value(scale, "conv1"), 0))
    assert np.array_equal(found.final("conv1"), found.value(relu, "conv1"))


def test_statistics_that_the_pass_changed_are_kept_before_and_after() -> None:
    found = read_recording(TRAIN)
    changed = [param.key for param in found.params if param.changed]
    assert changed == [("bn1", 0), ("bn1", 1), ("bn1", 2)]
    assert found.param("bn1", 2) == 0
    assert found.param("bn1", 2, "after") == 1


def test_old_nets_have_their_inputs_too() -> None:
    found = read_everything(SEGMENT)
    assert found.shapes == {"data": (2, 3, 12, 12)}
    assert not found.has_gradients
    assert not any(param.stored for param in found.params)


def test_an_index_may_be_given_instead_of_its_folder() -> None:
    assert read_recording(TRAIN / "recording.json").path == TRAIN


def test_asking_for_what_is_not_there() -> None:
    found = read_recording(TRAIN)
    with pytest.raises(RecordingError, match=r'holds no blob "fc" at the start'):
        found.value(-1, "fc")
    with pytest.raises(RecordingError, match=r'holds no blob "x" after layer "conv1"'):
        found.value(3, "x")
    with pytest.raises(RecordingError, match='layer "conv1" has no parameter blob 2'):
        found.param("conv1", 2)
    with pytest.raises(RecordingError, match='"conv1", blob 0: no values are stored: the pass'):
        found.param("conv1", 0, "after")
    bare = read_recording(SEGMENT)
    with pytest.raises(RecordingError, match=r"only its checksum \(--no-weights\)"):
        bare.param("conv1", 0)
    with pytest.raises(RecordingError, match="record with --backward"):
        bare.param("conv1", 0, "diff")


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def change(**values: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder, lambda index: index.update(values))


def change_top(**values: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder, lambda index: index["layers"][3]["tops"][0].update(values))


def compress(folder: Path) -> None:
    path = folder / "arrays.npz"
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shutil.rmtree, "there is no such folder; a recording is the folder that"),
        (drop("recording.json"), "holds no recording.json; a recording is the folder that"),
        (drop("arrays.npz"), "arrays.npz: is missing; copy the whole folder"),
        (drop("net.prototxt"), "net.prototxt: is missing; copy the whole folder"),
        (cut("recording.json", 5000), "recording.json: is not JSON, or was cut short"),
        (cut("recording.json", 0), "recording.json: is not JSON, or was cut short"),
        (cut("arrays.npz", 50000), "is no .npz file, or was cut short at 50,000 bytes"),
        (change(format="something"), "is not the index of a recording"),
        (change(version=2), "is of version 2, this torchcaffe reads version 1; record again"),
        (change(phase="BOTH"), '"phase" takes "TEST" or "TRAIN", got "BOTH"'),
        (change(seed=-1), '"seed" takes a number from 0 on, got -1'),
        (change(loss="high"), "\"loss\" takes a number, got 'high'"),
        (change(layers={}), '"layers" takes a list, got {}'),
        (change(layers=[3]), '"layers" takes a list of objects'),
        (change(outputs=[1]), '"outputs" takes a list of strings'),
        (change(params=None), '"params" takes a list, got nothing'),
        (change_top(array="99999"), "layers[3]: tops[0]: arrays.npz holds no array 99999"),
        (change_top(shape=[2**20, 2**20]), "takes 4,398,046,511,104 bytes of float32"),
        (change_top(shape=[6, 8, 9, True]), '"shape" takes a list of sizes, got [6, 8, 9, True]'),
        (change_top(name=7), '"name" takes a string, got 7'),
        (compress, "compressed; the recorder does not compress"),
    ],
)
def test_damage_is_named_when_the_recording_is_opened(
    copy: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(copy)
    with pytest.raises(RecordingError) as caught:
        read_recording(copy)
    assert words in str(caught.value)


def test_changed_values_are_noticed_when_they_are_read(copy: Path) -> None:
    path = copy / "arrays.npz"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="cannot be read: Bad CRC-32"):
        read_everything(copy)


def test_values_of_another_shape_are_noticed_when_they_are_read(copy: Path) -> None:
    change_top(shape=[8, 6, 9, 9])(copy)
    with pytest.raises(RecordingError, match=r"but recording.json says float32 \(8, 6, 9, 9\)"):
        read_everything(copy)


@pytest.mark.parametrize("name", ["recording.json", "arrays.npz"])
def test_no_damage_gives_any_other_error(copy: Path, name: str) -> None:
    """Bytes changed, cut out and doubled at random: read, or refused in our own words."""
    generator = random.Random(1701)
    path = copy / name
    whole = path.read_bytes()
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(data))
            part = data[place : place + generator.randint(1, 40)]
            match generator.randint(0, 2):
                case 0:
                    data[place] = generator.randrange(256)
                case 1:
                    del data[place : place + len(part)]
                case _:
                    data[place:place] = part
        path.write_bytes(data)
        try:
            read_everything(copy)
        except RecordingError:
            refused += 1
    assert refused > 50
