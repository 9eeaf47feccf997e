"""Write the prototxts of the nets that repeat themselves: ``python tests/nets/make.py``.

The others, and all that this writes, stand beside this file to be read; a test holds the two
together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nets.classic import googlenet, squeezenet, vgg16
from nets.inception import inception_v3
from nets.mobile import densenet121, mobilenet_v1, mobilenet_v2
from nets.residual import resnet
from nets.segmentation import fcn8s, hed, unet

NETS: dict[str, Callable[[], str]] = {
    "densenet121": densenet121,
    "fcn8s": fcn8s,
    "googlenet": googlenet,
    "hed": hed,
    "inception_v3": inception_v3,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "resnet18": partial(resnet, 18, (2, 2, 2, 2)),
    "resnet50": partial(resnet, 50, (3, 4, 6, 3)),
    "resnet152": partial(resnet, 152, (3, 8, 36, 3)),
    "se_resnet50": partial(resnet, 50, (3, 4, 6, 3), excited=True),
    "squeezenet_1.0": partial(squeezenet, "1.0"),
    "squeezenet_1.1": partial(squeezenet, "1.1"),
    "unet": unet,
    "vgg16": vgg16,
}


def main() -> None:
    """Write every net of ``NETS`` beside this file."""
    for name, make in NETS.items():
        path = Path(__file__).parent / f"{name}.prototxt"
        path.write_text(make(), encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
