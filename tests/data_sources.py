"""Small sources for data layers, made anew where a test wants them."""

from pathlib import Path

import cv2
import h5py
import numpy as np

from torchcaffe.data import write_lmdb
from torchcaffe.proto import encode, make_blob, write_wire
from torchcaffe.proto.schema import Datum

CHANNELS, HEIGHT, WIDTH = 3, 6, 8


def pixels(place: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Image ``place``: (3, H, W) uint8."""
    generator = np.random.default_rng([1701, place])
    return generator.integers(0, 256, (CHANNELS, height, width), np.uint8)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image.transpose(1, 2, 0))[1].tobytes()


def datum(place: int) -> Datum:
    """Record ``place``: a plain one, an encoded one or one of floats."""
    image = pixels(place)
    if place % 3 == 1:
        return Datum(label=place, encoded=True, data=png(image))
    shape = {"channels": CHANNELS, "height": HEIGHT, "width": WIDTH, "label": place}
    if place % 3 == 2:
        return Datum(float_data=image.ravel() / np.float32(7), **shape)
    return Datum(data=image.tobytes(), **shape)


def write_database(path: str, count: int = 7) -> None:
    write_lmdb(path, ((f"{i:03d}".encode(), encode(datum(i))) for i in range(count)))


def write_list(path: str, count: int = 5) -> None:
    """A list of images beside it, labelled by number."""
    lines = []
    for place in range(count):
        name = f"image {place}.png"
        Path(name).write_bytes(png(pixels(place)))
        lines.append(f"{name} {place}\n")
    Path(path).write_text("".join(lines))


def write_hdf5(path: str, rows: tuple[int, ...] = (3, 2)) -> None:
    """A list of files with datasets t0 (2x2 a row) and t1 (a number a row), counted through."""
    names, start = [], 0
    for place, count in enumerate(rows):
        names.append(f"rows{place}.h5")
        with h5py.File(names[-1], "w") as file:
            values = np.arange(start, start + count)
            file["t0"] = values[:, None, None] + np.arange(4).reshape(2, 2) / 10
            file["t1"] = values
        start += count
    Path(path).write_text("\n".join(names))


def write_window_file(path: str) -> None:
    """Two images of 12x14 with windows at the edges and inside."""
    text = ""
    for place in range(2):
        Path(f"scene{place}.png").write_bytes(png(pixels(place, 12, 14)))
        text += f"# {place}\nscene{place}.png\n3\n12\n14\n4\n"
        text += "2 0.9 0 0 5 9\n1 0.6 3 2 13 11\n1 0.1 2 1 8 4\n3 0.4 7 5 9 11\n"
    Path(path).write_text(text)


def write_mean(path: str, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A mean image (1, 3, H, W)."""
    values = np.random.default_rng(1702).uniform(0, 255, (1, CHANNELS, height, width))
    write_wire(path, make_blob(values.astype(np.float32)))


def write_all() -> None:
    """Every source, in the current folder."""
    write_database("lmdb")
    write_list("list.txt")
    write_hdf5("h5.txt")
    write_window_file("windows.txt")
    write_mean("mean.binaryproto")
    write_mean("scene.binaryproto", 10, 10)
    write_mean("small.binaryproto", 3, 3)
