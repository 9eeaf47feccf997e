"""Write what the fine-tuning needs: images of shapes, and the ResNet's net for training on them.

python prepare.py MODEL_FOLDER BUILD_FOLDER
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from torchcaffe.proto import format_text, parse_text, read_net
from torchcaffe.proto.schema import LayerParameter, NetParameter, ParamSpec

SHAPES = ("circle", "square", "triangle")
LAST_FROZEN = "relu_stage2_block5"
"""The layers up to this one keep their weights."""
BLOBS = {"Convolution": 2, "BatchNorm": 3, "Scale": 2}

DATA = """
layer {{ name: "shapes" type: "ImageData" top: "data" top: "label" include {{ phase: {phase} }}
  image_data_param {{ source: "build/{name}.txt" root_folder: "build/images/" batch_size: {batch}
                      shuffle: {shuffle} }}
  transform_param {{ mirror: {shuffle} mean_value: 104 mean_value: 117 mean_value: 123 }} }}
"""
HEAD = """
layer { name: "fc_shapes" type: "InnerProduct" bottom: "pool" top: "fc_shapes"
        param { lr_mult: 5 } param { lr_mult: 10 decay_mult: 0 }
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc_shapes" bottom: "label" top: "accuracy"
        include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc_shapes" bottom: "label" top: "loss" }
"""


def drawn(shape: str, random: np.random.Generator) -> np.ndarray:
    """A shape of any size and colour, anywhere on paper of any colour with some noise."""
    paper, ink = random.integers(0, 256, 3), random.integers(0, 256, 3)
    while np.abs(paper - ink).max() < 80:
        ink = random.integers(0, 256, 3)
    image = np.full((224, 224, 3), paper, np.uint8)
    size = int(random.integers(30, 70))
    x, y = (int(value) for value in random.integers(size + 5, 219 - size, 2))
    colour = [int(value) for value in ink]
    if shape == "circle":
        cv2.circle(image, (x, y), size, colour, -1, cv2.LINE_AA)
    else:
        corners = 4 if shape == "square" else 3
        angles = random.random() * 2 * np.pi + np.arange(corners) * 2 * np.pi / corners
        points = np.stack([x + size * np.cos(angles), y + size * np.sin(angles)], 1)
        cv2.fillPoly(image, [np.rint(points).astype(np.int32)], colour, cv2.LINE_AA)
    noise = random.normal(0, 8, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def draw(folder: Path, name: str, each: int, seed: int) -> None:
    """So many images of each shape, and the list of them."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(each):
        for label, shape in enumerate(SHAPES):
            file = f"{name}-{shape}-{number}.png"
            cv2.imwrite(str(folder / "images" / file), drawn(shape, random))
            lines.append(f"{file} {label}\n")
    (folder / f"{name}.txt").write_text("".join(lines))


def layers(text: str) -> list[LayerParameter]:
    return list(parse_text(text, NetParameter, "here").layer)


def training_net(deploy: Path) -> NetParameter:
    """The deploy net between data and loss, its first layers frozen."""
    net = read_net(deploy)
    names = [layer.name for layer in net.layer]
    body = list(net.layer[1 : names.index("fc_nsfw")])
    for layer in body[: names.index(LAST_FROZEN)]:
        layer.param = [ParamSpec(lr_mult=0, decay_mult=0)] * BLOBS.get(layer.type, 0)
    data = DATA.format(phase="TRAIN", name="train", batch=12, shuffle="true")
    data += DATA.format(phase="TEST", name="test", batch=12, shuffle="false")
    return NetParameter(name="shapes", layer=[*layers(data), *body, *layers(HEAD)])


def main() -> None:
    model, build = map(Path, sys.argv[1:])
    (build / "images").mkdir(parents=True, exist_ok=True)
    draw(build, "train", 20, seed=1)
    draw(build, "test", 20, seed=2)
    (build / "train.prototxt").write_text(format_text(training_net(model / "deploy.prototxt")))


if __name__ == "__main__":
    main()
