from pathlib import Path

import numpy as np
import pytest

from contract import Case
from data_sources import datum, pixels, write_list
from layers.data_contract import DataContract, seeded, transformed
from torchcaffe.errors import CaffeError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter
from torchcaffe.random import Mersenne

SIZES = "batch_size: 2 channels: 3 height: 4 width: 5"


def case(more: str = SIZES, transform: str = "", phase: str = "TRAIN") -> Case:
    body = f"memory_data_param {{ {more} }} "
    return Case(body + f"transform_param {{ {transform} }}" * bool(transform), [], 2, phase)


def arrays(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    data = np.random.default_rng(1701).standard_normal((count, 3, 4, 5)).astype(np.float32)
    return data, np.arange(count, dtype=np.float32)


class TestMemoryData(DataContract):
    caffe_type = "MemoryData"
    cases = {"plain": case(), "unused-transform": case(transform="scale: 2 mirror: true")}
    refusals = {
        "batch": (case(""), "needs a batch_size of at least 1, got 0"),
        "width": (case("batch_size: 2 channels: 3 height: 4"), "needs a width of at least 1"),
        "tops": (Case(case().body), "takes 0 bottoms, got 1"),
        "means": (case(transform='mean_value: 1 mean_file: "m"'), "has both mean_file and"),
    }

    def ready(self, net: CaffeNet) -> CaffeNet:
        net.data_layers["layer"].memory.set_arrays(*arrays())
        return net

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        data, label = arrays()
        return [data[:2], label[:2].reshape(2, 1, 1, 1)]

    def test_matches_reference(self, case: Case) -> None:
        """The label has the shape that Caffe gives it at the first pass, not the declared one."""
        net = self.build(case)
        assert net.steps[-1].top_shapes == [(2, 3, 4, 5), (2,)]
        for top, expected in zip(
            self.passes(net, 1)[0].values(),
            self.call_reference(self.reference, case, net),
            strict=True,
        ):
            assert np.array_equal(top.numpy(), expected) and top.shape == expected.shape

    def test_images_are_transformed(self) -> None:
        given = case(transform="crop_size: 4 mirror: true scale: 0.5 mean_value: 3")
        text = "batch_size: 2 channels: 3 height: 4 width: 4"
        given = Case(given.body.replace(SIZES, text), [], 2, "TRAIN")
        t = given.net("MemoryData").layer[0].transform_param
        stream = seeded(Mersenne(1701), t, "TRAIN")
        expected = [transformed(pixels(i), t, "TRAIN", stream, None) for i in (0, 3)]
        for images, labels in (((pixels(0), pixels(3)), (0, 3)), ((datum(0), datum(3)), ())):
            net = CaffeNet(given.net("MemoryData"), "TRAIN", seed=1701)
            net.data_layers["layer"].memory.set_images(images, labels)
            tops = net.run({}).blobs
            assert np.array_equal(tops["t0"].numpy(), np.stack(expected))
            assert tops["t1"].ravel().tolist() == [0, 3]


@pytest.fixture
def net() -> CaffeNet:
    return CaffeNet(case().net("MemoryData"), "TRAIN", seed=1701)


def test_needs_arrays(net: CaffeNet) -> None:
    with pytest.raises(
        CaffeError, match=r'"layer" \(MemoryData\): has no data yet; give it arrays'
    ):
        net.run({})


def test_other_layers_take_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_list("list.txt")
    images = Case('image_data_param { source: "list.txt" batch_size: 1 }', [], 2)
    net = CaffeNet(images.net("ImageData"), "TRAIN")
    with pytest.raises(CaffeError, match="takes no arrays: it reads them from its source"):
        _ = net.data_layers["layer"].memory


@pytest.mark.parametrize(
    ("data", "label", "words"),
    [
        ((3, 3, 4, 5), (3,), "as many items as fill batches of 2 were expected, got 3"),
        ((0, 3, 4, 5), (0,), "got 0"),
        ((2, 3, 5, 4), (2,), r"data of \(2, 3, 4, 5\) was expected, got \(2, 3, 5, 4\)"),
        ((2, 3, 4, 5), (4,), "2 labels were expected, got 4"),
    ],
)
def test_arrays_that_do_not_fit(
    net: CaffeNet, data: tuple[int, ...], label: tuple[int, ...], words: str
) -> None:
    with pytest.raises(CaffeError, match=words):
        net.data_layers["layer"].memory.set_arrays(np.zeros(data), np.zeros(label))


def test_images_that_do_not_fit(net: CaffeNet) -> None:
    with pytest.raises(CaffeError, match=r"image 0 makes \(3, 6, 8\), not \(3, 4, 5\)"):
        net.data_layers["layer"].memory.set_images([pixels(0), pixels(1)], [0, 1])
