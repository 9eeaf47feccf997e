from pathlib import Path

import cv2
import numpy as np
import pytest

from contract import Case
from data_sources import write_all
from layers.data_contract import DataContract, seeded
from torchcaffe.errors import CaffeError, NetWarning
from torchcaffe.net import CaffeNet
from torchcaffe.proto import blob_array, read_wire
from torchcaffe.proto.schema import BlobProto, LayerParameter
from torchcaffe.random import Mersenne

F = np.float32


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_all()


def case(
    more: str = "",
    transform: str = "crop_size: 8",
    phase: str = "TRAIN",
    source: str = "windows.txt",
    size: int = 12,
) -> Case:
    body = f'window_data_param {{ source: "{source}" batch_size: {size} {more} }} '
    return Case(body + f"transform_param {{ {transform} }}", [], 2, phase)


def net(*args: str, **options: object) -> CaffeNet:
    return CaffeNet(case(*args, **options).net("WindowData"), "TRAIN", seed=1701)  # type: ignore[arg-type]


WINDOWS = {
    "fore": [(place, *w) for place in range(2) for w in [(2, 0, 0, 5, 9), (1, 3, 2, 13, 11)]],
    "back": [(place, *w) for place in range(2) for w in [(0, 2, 1, 8, 4), (0, 7, 5, 9, 11)]],
}


def away(value: float) -> int:
    """C's round."""
    return int(np.floor(value + 0.5)) if value >= 0 else -int(np.floor(-value + 0.5))


class TestWindowData(DataContract):
    caffe_type = "WindowData"
    cases = {
        "warp": case(),
        "mirror": case("", "crop_size: 8 mirror: true"),
        "test": case("fg_fraction: 0.5", "crop_size: 5 mirror: true", phase="TEST"),
        "scale": case("scale: 0.3 fg_fraction: 0.9", "crop_size: 8 mean_value: 100"),
        "mean": case("", 'crop_size: 8 mirror: true mean_file: "scene.binaryproto"'),
        "context": case("context_pad: 2 fg_fraction: 0.5", "crop_size: 9 mirror: true"),
        "square": case('crop_mode: "square" fg_fraction: 0.5', "crop_size: 9 mirror: true"),
        "all": case(
            'crop_mode: "square" context_pad: 1 fg_fraction: 0.5 scale: 0.1 cache_images: true',
            'crop_size: 9 mirror: true mean_file: "scene.binaryproto"',
            size=30,
        ),
    }
    refusals = {
        "no-source": (case(source=""), "has none; give one, or give the net"),
        "missing": (case(source="gone"), "gone does not exist; a window file was expected there"),
        "crop": (case("", "mirror: true"), "needs a crop_size in transform_param"),
        "pad": (case("context_pad: 4"), "has context_pad 4, which leaves nothing of crop_size 8"),
        "mode": (case('crop_mode: "wrap"'), 'crop_mode is "warp" or "square", got "wrap"'),
        "fraction": (case("fg_fraction: 1.5"), "fg_fraction lies in 0 to 1, got 1.5"),
        "no-foreground": (case("fg_threshold: 0.95"), "has no foreground windows; it needs some"),
        "no-background": (case("bg_threshold: 0.05"), "has no background windows; it needs some"),
        "mean": (
            case("", 'crop_size: 8 mean_file: "small.binaryproto"'),
            "the mean is 3x3x3, too small for crop_size 8",
        ),
        "means": (case("", "crop_size: 8 mean_value: 1 mean_value: 2"), "there are 2 mean values"),
        "batch": (case(size=0), "needs a batch_size of at least 1, got 0"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, t, main = param.window_data_param, param.transform_param, Mersenne(1701)
        seeded(main, t, phase)
        stream = Mersenne(main.word())
        size, pad = t.crop_size, p.context_pad
        data = np.zeros((p.batch_size, 3, size, size), np.float32)
        labels = np.zeros(p.batch_size, np.float32)
        mean = blob_array(read_wire(t.mean_file, BlobProto))[0] if t.mean_file else None
        shift = (10 - size) // 2
        many = int(F(p.batch_size) * F(p.fg_fraction))
        for item in range(p.batch_size):
            windows = WINDOWS["fore" if item >= p.batch_size - many else "back"]
            place, label, x1, y1, x2, y2 = windows[stream.word() % len(windows)]
            mirror = t.mirror and stream.word() % 2
            image = cv2.imread(f"scene{place}.png")
            rows = columns = size
            pad_h = pad_w = 0
            if pad or p.crop_mode == "square":
                grow = F(size) / F(size - 2 * pad)
                half_h, half_w = F((y2 - y1 + 1) / 2), F((x2 - x1 + 1) / 2)
                mid_x, mid_y = F(x1) + half_w, F(y1) + half_h
                if p.crop_mode == "square":
                    half_h = half_w = max(half_h, half_w)
                x1, x2 = away(mid_x - half_w * grow), away(mid_x + half_w * grow)
                y1, y2 = away(mid_y - half_h * grow), away(mid_y + half_h * grow)
                scale_x, scale_y = F(size) / F(x2 - x1 + 1), F(size) / F(y2 - y1 + 1)
                left, top = max(0, -x1), max(0, -y1)
                right, bottom = max(0, x2 - 14 + 1), max(0, y2 - 12 + 1)
                x1, x2, y1, y2 = x1 + left, x2 - right, y1 + top, y2 - bottom
                columns, rows = away(F(x2 - x1 + 1) * scale_x), away(F(y2 - y1 + 1) * scale_y)
                pad_h = away(F(top) * scale_y)
                pad_w = away(F(right if mirror else left) * scale_x)
                rows, columns = min(rows, size - pad_h), min(columns, size - pad_w)
            part = cv2.resize(image[y1 : y2 + 1, x1 : x2 + 1], (columns, rows))
            for c in range(3):
                for h in range(rows):
                    for w in range(columns):
                        value = F(part[h, columns - 1 - w if mirror else w, c])
                        if mean is not None:
                            value = value - mean[c, h + shift + pad_h, w + shift + pad_w]
                        elif t.mean_value:
                            value = value - F(t.mean_value[0])
                        data[item, c, h + pad_h, w + pad_w] = value * F(p.scale)
            labels[item] = label
        return [data, labels]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "bad.txt is empty; it must list windows"),
        ("0 scene0.png", 'bad.txt:1: "#" was expected, got "0"'),
        ("# 0\nscene0.png\n1 12 14 0", "bad.txt:3: 1 channels: Caffe reads images in colour"),
        ("# 0\nscene0.png\n3 12 x", 'bad.txt:3: width was expected, got "x"'),
        ("# 0\nscene0.png\n3 12 14 2\n1 0.9 0 0", "bad.txt:4: x2 was expected, and the file ends"),
        ("# 7\nscene0.png\n3 12 14 1\n1 0.9 0 0 1 1", "has windows of image # 7, and 1 images"),
        ("# 0\nscene0.png\n3 12 14 1\n0 0.9 0 0 1 1", "its class must be above 0, got 0"),
    ],
)
def test_a_window_file_that_is_wrong(text: str, words: str) -> None:
    Path("bad.txt").write_text(text)
    with pytest.raises(CaffeError) as caught:
        net(source="bad.txt")
    assert words in str(caught.value)


@pytest.mark.parametrize("box", ["0 0 14 5", "0 0 5 12", "-1 0 5 5", "5 5 4 4", "0 5 5 2"])
def test_a_window_outside_its_image(box: str) -> None:
    Path("bad.txt").write_text(f"# 0 scene0.png 3 12 14 2 1 0.9 {box} 1 0.1 {box}")
    with pytest.raises(CaffeError, match=r"window \(.*\) does not lie in scene0.png, which is 12"):
        net(source="bad.txt").run({})


def test_an_image_that_is_missing() -> None:
    Path("scene1.png").unlink()
    with pytest.raises(CaffeError, match=r'"layer" \(WindowData\): scene1.png does not exist'):
        net().run({})


@pytest.mark.parametrize(
    ("more", "transform", "words"),
    [
        ("mirror: true", "", "has mirror, which Caffe ignores here; put it into transform_param"),
        ("", "scale: 2", "has scale, which Caffe ignores here; put it into window_data_param"),
        ("", "force_gray: true", "has force_gray, which Caffe ignores here; leave it out"),
    ],
)
def test_what_caffe_ignores_is_said(more: str, transform: str, words: str) -> None:
    with pytest.warns(NetWarning, match=words):
        net(more, f"crop_size: 8 {transform}")
