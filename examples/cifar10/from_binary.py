"""Write CIFAR-10's binary batches as Caffe's example writes them.

python from_binary.py FOLDER BUILD_FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from torchcaffe.data import write_lmdb
from torchcaffe.proto import encode
from torchcaffe.proto.schema import Datum

FILES = {
    "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
    "test": ["test_batch.bin"],
}
IMAGE = 3 * 32 * 32


def records(folder: Path, names: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """A record is a label and the red, green and blue planes."""
    number = 0
    for name in names:
        path = folder / name
        if not path.is_file():
            sys.exit(f"{path} is missing; the binary version of CIFAR-10 has it")
        data = path.read_bytes()
        if not data or len(data) % (1 + IMAGE):
            sys.exit(f"{path} is damaged: {len(data)} bytes are not whole records of {1 + IMAGE}")
        for start in range(0, len(data), 1 + IMAGE):
            image = data[start + 1 : start + 1 + IMAGE]
            shape = {"channels": 3, "height": 32, "width": 32, "label": data[start]}
            yield f"{number:05d}".encode(), encode(Datum(data=image, **shape))
            number += 1


def main() -> None:
    folder, build = map(Path, sys.argv[1:])
    for name, files in FILES.items():
        print(f"{name}: {write_lmdb(build / f'{name}_lmdb', records(folder, files))} images")


if __name__ == "__main__":
    main()
