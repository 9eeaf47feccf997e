"""A narrow GOTURN with random weights, and small data, for tests that need them in a moment."""

from collections.abc import Sequence as Ordered
from pathlib import Path

import cv2
import numpy as np

from goturn.network import PUBLISHED
from torchcaffe import CaffeNet, save_weights
from torchcaffe.proto import NetParameter, format_text, read_net

SIZE = 67


def narrow_param(batch: int = 50) -> NetParameter:
    """The published training net with few channels, on crops of SIZE pixels."""
    param: NetParameter = read_net(PUBLISHED)
    for layer in param.layer:
        if layer.type == "Input":
            target, image, bbox = layer.input_param.shape
            target.dim = image.dim = [batch, 3, SIZE, SIZE]
            bbox.dim = [batch, 4, 1, 1]
        if layer.type == "Convolution":
            layer.convolution_param.num_output //= 32
            layer.convolution_param.group = 1
            layer.convolution_param.weight_filler.std = 0.05
        if layer.type == "InnerProduct" and layer.name != "fc8-shapes":
            layer.inner_product_param.num_output = 16
            layer.inner_product_param.weight_filler.std = 0.05
    return param


def narrow_weights(folder: Path) -> Path:
    """A caffemodel of it, as training leaves one."""
    save_weights(CaffeNet(narrow_param(), "TRAIN", seed=1701), folder / "narrow.caffemodel")
    return folder / "narrow.caffemodel"


def narrow_prototxt(folder: Path) -> Path:
    """Its prototxt, as it is trained."""
    (folder / "narrow.prototxt").write_text(format_text(narrow_param()))
    return folder / "narrow.prototxt"


def picture(width: int = 90, height: int = 70, seed: int = 1701) -> np.ndarray:
    """An image of soft spots."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def write_alov(folder: Path, videos: int = 5, frames: int = 6, *, first: str = "01-Light") -> None:
    """ALOV's layout: ``folder/images`` and ``folder/gt``, a box in every second frame."""
    for number in range(1, videos + 1):
        name = f"{first}_video{number:05}"
        images = folder / "images" / first / name
        images.mkdir(parents=True)
        for frame in range(1, frames + 1):
            cv2.imwrite(str(images / f"{frame:08}.jpg"), picture(seed=100 * number + frame))
        annotated = range(1, frames + 1, 2)
        lines = [alov_line(frame, 10 + frame, 20, 40 + frame, 45) for frame in annotated]
        write_lines(folder / "gt" / first / f"{name}.ann", lines)


def alov_line(frame: int, x1: float, y1: float, x2: float, y2: float) -> str:
    """A line of ALOV's annotations, as it counts, from 1."""
    return f"{frame} {x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2}"


def write_lines(path: Path, lines: Ordered[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_imagenet(folder: Path, stills: int = 4) -> None:
    """ImageNet DET's layout: ``folder/images`` and ``folder/gt``."""
    for number in range(stills):
        name = f"n01_{number}"
        (folder / "images" / "n01").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / "n01" / f"{name}.JPEG"), picture(seed=number))
        box = (10 + number, 15, 50, 45)
        write_lines(folder / "gt" / "n01" / f"{name}.xml", [det_xml(name, [box])])


def det_xml(name: str, boxes: Ordered[Ordered[int]], width: int = 90, height: int = 70) -> str:
    """An annotation of ImageNet DET."""
    objects = "".join(
        f"<object><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        f"</bndbox></object>\n"
        for x1, y1, x2, y2 in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return (
        f"<annotation><folder>n01</folder><filename>{name}</filename>{size}\n{objects}</annotation>"
    )
