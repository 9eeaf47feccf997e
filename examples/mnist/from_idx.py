"""Write MNIST's four idx files, packed by gzip or not, as Caffe's example writes them.

python from_idx.py FOLDER BUILD_FOLDER
"""

import gzip
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from torchcaffe.data import write_lmdb
from torchcaffe.proto import encode
from torchcaffe.proto.schema import Datum

PARTS = {"train": "train", "test": "t10k"}


def read(folder: Path, name: str) -> np.ndarray:
    """The array of bytes in an idx file."""
    for path in (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")):
        if path.is_file():
            break
    else:
        sys.exit(f"{folder / name} is missing, with or without .gz; MNIST has four such files")
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    if data[:3] != b"\0\0\x08":
        sys.exit(f"{path} is no idx file of bytes: it begins with {data[:4].hex(' ')}")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if values.size != np.prod(shape):
        sys.exit(f"{path} is damaged: it holds {values.size} bytes for {shape}")
    return values.reshape(shape)


def records(folder: Path, part: str) -> Iterator[tuple[bytes, bytes]]:
    images = read(folder, f"{part}-images-idx3-ubyte")
    labels = read(folder, f"{part}-labels-idx1-ubyte")
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        height, width = image.shape
        shape = {"channels": 1, "height": height, "width": width, "label": int(label)}
        yield f"{number:08d}".encode(), encode(Datum(data=image.tobytes(), **shape))


def main() -> None:
    folder, build = map(Path, sys.argv[1:])
    for name, part in PARTS.items():
        print(f"{name}: {write_lmdb(build / f'{name}_lmdb', records(folder, part))} images")


if __name__ == "__main__":
    main()
