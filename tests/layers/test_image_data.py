from pathlib import Path

import cv2
import numpy as np
import pytest

from contract import Case
from data_sources import datum, pixels, png, write_all
from layers.data_contract import DataContract, seeded, transformed
from torchcaffe.errors import CaffeError, NetWarning
from torchcaffe.net import CaffeNet
from torchcaffe.proto import blob_array, read_wire
from torchcaffe.proto.schema import BlobProto, LayerParameter
from torchcaffe.random import Mersenne, shuffle


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_all()


def case(
    more: str = "",
    transform: str = "",
    phase: str = "TRAIN",
    source: str = "list.txt",
    size: int = 3,
) -> Case:
    body = f'image_data_param {{ source: "{source}" batch_size: {size} {more} }} '
    return Case(body + f"transform_param {{ {transform} }}" * bool(transform), [], 2, phase)


def net(*args: str, **options: object) -> CaffeNet:
    return CaffeNet(case(*args, **options).net("ImageData"), "TRAIN", seed=1701)  # type: ignore[arg-type]


class TestImageData(DataContract):
    caffe_type = "ImageData"
    cases = {
        "plain": case(),
        "shuffled": case("shuffle: true", size=4),
        "skip": case("rand_skip: 4"),
        "both": case("shuffle: true rand_skip: 5"),
        "root": case('root_folder: "./"'),
        "crop": case("", "crop_size: 4 mirror: true"),
        "shuffled-crop": case("shuffle: true rand_skip: 3", "crop_size: 4 mirror: true", size=12),
        "test": case("shuffle: true", "crop_size: 3", phase="TEST"),
        "mean": case("", 'mean_file: "mean.binaryproto" scale: 0.1 mirror: true'),
    }
    refusals = {
        "no-source": (case(source=""), "has none; give one, or give the net"),
        "missing": (case(source="gone"), "gone does not exist; a list of images was expected"),
        "batch": (case(size=0), "needs a batch_size of at least 1, got 0"),
        "size": (case("new_height: 3"), "has new_height 3 and new_width 0; give both or neither"),
        "crop": (case("", "crop_size: 9"), "image 0.png is 6x8, smaller than crop_size 9"),
        "root": (
            case('root_folder: "gone/"'),
            "list.txt:1: gone/image 0.png does not exist; an image was expected there; or give",
        ),
        "no-image": (case(source="images.txt"), "images.txt:1: list.txt does not decode as an"),
        "empty": (case(source="empty.txt"), "empty.txt is empty; it must list images"),
        "skip": (case("rand_skip: 900"), "rand_skip 900 leaves out"),
        "tops": (Case(case().body, [], 1), "takes 2 tops, got 1"),
    }

    def build(self, case: Case) -> CaffeNet:
        Path("images.txt").write_text("list.txt 0\n")
        Path("empty.txt").touch()
        return super().build(case)

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, t, main = param.image_data_param, param.transform_param, Mersenne(1701)
        seeded(main, t, phase)
        order = list(range(5))
        own = Mersenne(main.word()) if p.shuffle else None
        if own:
            shuffle(own, order)
        line = main.word() % p.rand_skip if p.rand_skip else 0
        stream = seeded(main, t, phase)
        mean = blob_array(read_wire(t.mean_file, BlobProto))[0] if t.mean_file else None
        images, labels = [], []
        for _ in range(p.batch_size):
            images.append(transformed(pixels(order[line]), t, phase, stream, mean))
            labels.append(order[line])
            line += 1
            if line == 5:
                line = 0
                if own:
                    shuffle(own, order)
        return [np.stack(images), np.array(labels, np.float32)]


def test_resizing_and_grey() -> None:
    tops = net("new_height: 3 new_width: 4 is_color: false").run({}).blobs
    grey = cv2.imread("image 1.png", cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(tops["t0"][1, 0].numpy(), cv2.resize(grey, (4, 3)).astype(np.float32))


def test_an_image_in_the_middle_that_does_not_decode_stops_the_run() -> None:
    Path("image 3.png").write_bytes(png(pixels(3))[:40])
    broken = net()
    broken.run({})
    for _ in range(2):
        with pytest.raises(
            CaffeError, match=r"list.txt:4: image 3.png does not decode as an image"
        ):
            broken.run({})


def test_16_bits_are_read_as_8() -> None:
    deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    cv2.imwrite("deep.png", deep)
    Path("deep.txt").write_text("deep.png 1\n")
    assert net(source="deep.txt", size=1).run({}).blobs["t0"].max() < 256


@pytest.mark.parametrize(
    ("line", "label"),
    [("image 0.png 7", 7), ("image 0.png -2", -2), ("image 0.png 3x", 3), ("image 0.png x", 0)],
)
def test_labels_are_the_number_that_their_text_begins_with(line: str, label: int) -> None:
    Path("list.txt").write_text(line + "\r\n")
    assert net(size=1).run({}).blobs["t1"].tolist() == [label]


def test_a_list_without_labels() -> None:
    Path("plain.png").write_bytes(datum(1).data)
    Path("list.txt").write_text("plain.png")
    assert net(size=1).run({}).blobs["t1"].tolist() == [0]


@pytest.mark.parametrize(
    ("more", "transform", "words"),
    [
        ("mirror: true", "", "has mirror, which Caffe ignores here; put it into transform_param"),
        ("", "force_gray: true", "has force_gray, which Caffe ignores here; use is_color"),
    ],
)
def test_what_caffe_ignores_is_said(more: str, transform: str, words: str) -> None:
    with pytest.warns(NetWarning, match=words):
        net(more, transform)


def test_ranks_that_read_alike_are_said() -> None:
    with pytest.warns(NetWarning, match=r"list\.txt: all 2 ranks read the same images at the same"):
        net().data_layers["layer"].deal(0, 2)
    net().data_layers["layer"].deal(1, 2)
    net("shuffle: true").data_layers["layer"].deal(0, 2)
