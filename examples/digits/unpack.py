"""Write the committed digits as image files, with lists of those to train and to test with.

python unpack.py FOLDER [--colour]

--colour makes images of 32x32 whose ink and paper have colours of their own: one for each digit to
test with, four for each to train with.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

SIZE = 8
TEST = 6
"""Of so many images, one is for the test."""
COPIES = 4
"""So many colours a digit to train with has."""


def digits() -> tuple[np.ndarray, list[int]]:
    """The images (N, 8, 8) uint8, and their labels."""
    here = Path(__file__).parent
    labels = [int(digit) for digit in (here / "labels.txt").read_text().replace("\n", "")]
    sheet = cv2.imread(str(here / "digits.png"), cv2.IMREAD_GRAYSCALE)
    rows, columns = (length // SIZE for length in sheet.shape)
    images = sheet.reshape(rows, SIZE, columns, SIZE).swapaxes(1, 2).reshape(-1, SIZE, SIZE)
    return images[: len(labels)], labels


def coloured(image: np.ndarray, *seed: int) -> np.ndarray:
    """``image`` enlarged, in light ink on dark paper or dark ink on light paper."""
    random = np.random.default_rng(seed)
    dark, light = random.integers(0, 110, 3), random.integers(145, 256, 3)
    paper, ink = (dark, light) if random.random() < 0.5 else (light, dark)
    share = cv2.resize(image, (32, 32), interpolation=cv2.INTER_LINEAR)[:, :, None] / 240
    return np.rint(paper + share * (ink - paper)).astype(np.uint8)


def main() -> None:
    folder, colour = Path(sys.argv[1]), "--colour" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {"train": [], "test": []}
    images, labels = digits()
    for copy in range(COPIES if colour else 1):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            kind = "train" if number % TEST else "test"
            if copy and kind == "test":
                continue
            name = f"{number:04d}-{copy}.png"
            cv2.imwrite(str(folder / name), coloured(image, number, copy) if colour else image)
            lists[kind].append(f"{name} {label}\n")
    for kind, lines in lists.items():
        (folder / f"{kind}.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
