from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from contract import Case
from data_sources import write_all
from layers.data_contract import DataContract
from torchcaffe.data import libc_stream
from torchcaffe.errors import CaffeError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter
from torchcaffe.random import LibcRand


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    write_all()
    Path("empty.txt").touch()
    Path("gone.txt").write_text("gone.h5")
    Path("no-h5.txt").write_text("h5.txt")
    Path("one.txt").write_text("rows0.h5")
    stream = libc_stream()
    before = stream.state
    yield
    stream.state = before


def case(
    more: str = "", source: str = "h5.txt", size: int = 4, phase: str = "TRAIN", tops: int = 2
) -> Case:
    body = f'hdf5_data_param {{ source: "{source}" batch_size: {size} {more} }}'
    return Case(body, [], tops, phase)


def net(**options: object) -> CaffeNet:
    return CaffeNet(case(**options).net("HDF5Data"), "TRAIN", seed=1701)  # type: ignore[arg-type]


class TestHDF5Data(DataContract):
    caffe_type = "HDF5Data"
    cases = {
        "plain": case(),
        "one-top": case(tops=1),
        "one-file": case(source="one.txt"),
        "wraps-twice": case(size=12),
        "shuffled": case("shuffle: true"),
        "shuffled-far": case("shuffle: true", size=33),
        "shuffled-one-file": case("shuffle: true", source="one.txt", size=7),
        "one-at-a-time": case("shuffle: true", size=1, phase="TEST"),
    }
    refusals = {
        "no-source": (case(source=""), "has none; give one, or give the net"),
        "missing": (case(source="gone"), "gone does not exist; a list of HDF5 files was expected"),
        "empty": (case(source="empty.txt"), "empty.txt is empty; it must list HDF5 files"),
        "file": (case(source="gone.txt"), "gone.h5 does not exist; an HDF5 file was expected"),
        "no-h5": (case(source="no-h5.txt"), "h5.txt cannot be read as an HDF5 file"),
        "dataset": (
            case(tops=3),
            'rows0.h5 has no dataset "t2" for the top of that name; it has: "t0", "t1"',
        ),
        "batch": (case(size=0), "needs a batch_size of at least 1, got 0"),
        "transform": (
            Case(case().body + " transform_param { scale: 2 }", [], 2),
            "has transform_param, and Caffe's HDF5Data transforms nothing",
        ),
        "bottom": (Case(case().body), "takes 0 bottoms, got 1"),
    }

    def build(self, case: Case) -> CaffeNet:
        libc_stream().state = LibcRand().state
        return super().build(case)

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, libc = param.hdf5_data_param, LibcRand()
        counts = [[0, 1, 2]] if p.source == "one.txt" else [[0, 1, 2], [3, 4]]

        def mix(items: list[int]) -> None:
            if p.shuffle:
                for place in range(1, len(items)):
                    other = libc.number() % (place + 1)
                    items[place], items[other] = items[other], items[place]

        files, rows = list(range(len(counts))), []
        mix(files)
        numbers = []
        turn = 0
        order = list(counts[files[0]])
        mix(order)
        while len(numbers) < p.batch_size:
            rows = order
            numbers += rows
            if len(files) > 1:
                turn += 1
                if turn == len(files):
                    turn = 0
                    mix(files)
                order = list(counts[files[turn]])
                mix(order)
            mix(order)
        t1 = np.array(numbers[: p.batch_size], np.float32)
        steps = np.array([[0, 0.1], [0.2, 0.3]])
        t0 = np.array([number + steps for number in numbers[: p.batch_size]]).astype(np.float32)
        return [t0, t1][: len(param.top)]

    def test_ranks_take_turns(self) -> None:
        net = self.build(case(size=3))
        net.data_layers["layer"].deal(1, 2)
        assert [t["t1"].tolist() for t in self.passes(net, 2)] == [[1, 3, 0], [2, 4, 1]]


def write(**datasets: object) -> None:
    with h5py.File("rows1.h5", "w") as file:
        for name, value in datasets.items():
            file[name] = value


@pytest.mark.parametrize(
    ("datasets", "words"),
    [
        ({"t0": np.zeros((2, 3)), "t1": np.zeros(2)}, 'a row of "t0" is'),
        ({"t0": np.zeros((2, 2, 2)), "t1": np.zeros(3)}, 'they have: "t0" 2, "t1" 3'),
        ({"t0": np.zeros((0, 2, 2)), "t1": np.zeros(0)}, 'at least one; they have: "t0" 0'),
        ({"t0": np.zeros((2, 2, 2)), "t1": np.array([b"a"])}, "Caffe takes numbers"),
        ({"t0": np.zeros((2, 2, 2)), "t1": 1.0}, '"t1" is a single value; it must have rows'),
        ({"t0": np.zeros((2, 2, 2)), "t1": np.array([True, False])}, "Caffe takes numbers"),
    ],
)
def test_a_later_file_that_does_not_fit_stops_the_run(
    datasets: dict[str, object], words: str
) -> None:
    write(**datasets)
    with pytest.raises(CaffeError) as caught:
        net(size=4).run({})
    assert str(caught.value).startswith('case.prototxt:3: layer "layer" (HDF5Data): rows1.h5')
    assert words in str(caught.value)


def test_whole_numbers_and_doubles_become_floats() -> None:
    write(t0=np.full((2, 2, 2), 2**24 + 1, np.int64), t1=np.array([0.1, 1e-50]))
    Path("h5.txt").write_text("rows1.h5")
    tops = net(size=2).run({}).blobs
    assert tops["t0"].unique().tolist() == [2**24]
    assert tops["t1"].tolist() == [np.float32(0.1), 0]
