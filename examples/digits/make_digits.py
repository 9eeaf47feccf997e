"""Make digits.png and labels.txt of the digits that scikit-learn brings.

They are 1797 images of 8x8 with values from 0 to 16, written by 13 people (E. Alpaydin and
C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998). Only
this script needs scikit-learn; what it makes is committed.
"""

from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_digits

COLUMNS = 60


def main() -> None:
    folder = Path(__file__).parent
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    rows = -(-len(images) // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, 8, 8), np.uint8)
    sheet[: len(images)] = images
    sheet = sheet.reshape(rows, COLUMNS, 8, 8).transpose(0, 2, 1, 3).reshape(rows * 8, COLUMNS * 8)
    cv2.imwrite(str(folder / "digits.png"), sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    labels = "".join(map(str, digits.target))
    lines = [labels[start : start + COLUMNS] for start in range(0, len(labels), COLUMNS)]
    (folder / "labels.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
