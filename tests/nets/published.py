"""What is published of the nets beside this file.

The figures are those of the papers and of other frameworks' ports, not counted by this code. Caffe
counts BatchNorm's statistics as parameters: twice the channels, and one for each layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Published:
    """What is published of a net, and the input shapes that the tests run it with.

    ``parameters`` are those in TEST, ``training`` those in TRAIN if they are others. ``sizes`` are
    the widths of blobs at the input size in the file: Caffe's poolings round up. No ``shapes``
    means those in the file.
    """

    parameters: int
    multiply_adds: int | None
    sizes: Mapping[str, int]
    training: int | None = None
    shapes: Shapes = field(default_factory=dict)


def images(size: int, batch: int = 1) -> Shapes:
    """Color images and their labels."""
    return {"data": (batch, 3, size, size), "label": (batch,)}


NETS = {
    "lenet": Published(
        431_080,
        64 * 2_293_000,
        {"conv1": 24, "pool1": 12, "conv2": 8, "pool2": 4},
        shapes={"data": (2, 1, 28, 28), "label": (2,)},
    ),
    "cifar10_quick": Published(
        145_578,
        12_354_176,
        {"conv1": 32, "pool1": 16, "pool2": 8, "pool3": 4},
        shapes=images(32, 2),
    ),
    "cifar10_full": Published(
        89_578,
        12_298_240,
        {"norm1": 16, "norm2": 8, "pool3": 4},
        shapes=images(32, 2),
    ),
    "caffenet": Published(
        60_965_224,
        724_406_816,
        {"conv1": 55, "pool1": 27, "pool2": 13, "conv5": 13, "pool5": 6},
    ),
    "vgg16": Published(
        138_357_544,
        15_470_264_320,
        {"pool1": 112, "pool2": 56, "pool3": 28, "pool4": 14, "pool5": 7},
    ),
    "googlenet": Published(
        6_998_552,
        1_582_671_872,
        {"pool1/3x3_s2": 56, "pool2/3x3_s2": 28, "pool3/3x3_s2": 14, "pool4/3x3_s2": 7}
        | {"inception_3a/pool": 28, "pool5/7x7_s1": 1},
        training=13_378_280,
    ),
    "resnet18": Published(
        11_689_512 + 2 * 4_800 + 20,
        1_814_073_344,
        {"conv1": 112, "pool1": 56, "res2b": 56, "res3b": 28, "res4b": 14, "res5b": 7},
        shapes=images(64),
    ),
    "resnet50": Published(
        25_557_032 + 2 * 26_560 + 53,
        3_857_973_248,
        {"conv1": 112, "pool1": 56, "res2c": 56, "res3d": 28, "res4f": 14, "res5c": 7},
        shapes=images(64),
    ),
    "resnet152": Published(
        60_192_808 + 2 * 75_712 + 155,
        11_282_415_616,
        {"pool1": 56, "res2c": 56, "res3b7": 28, "res4b35": 14, "res5c": 7},
        shapes=images(64),
    ),
    "se_resnet50": Published(
        28_088_024 + 2 * 26_560 + 53,
        3_857_973_248 + 2_514_944,
        {"pool1": 56, "se2a_pool": 1, "se2a_scale": 56, "res5c": 7},
        shapes=images(64),
    ),
    "squeezenet_1.0": Published(
        1_248_424,
        832_667_936,
        {"conv1": 111, "pool1": 55, "pool4": 27, "pool8": 13, "conv10": 13, "pool10": 1},
        shapes=images(67),
    ),
    "squeezenet_1.1": Published(
        1_235_496,
        387_747_520,
        {"conv1": 113, "pool1": 56, "pool3": 28, "pool5": 14, "conv10": 14},
        shapes=images(67),
    ),
    "mobilenet_v1": Published(
        4_231_976 + 2 * 10_944 + 27,
        568_740_352,
        {"conv1": 112, "conv2/dw": 112, "conv3/sep": 56, "conv14/sep": 7},
        shapes=images(64),
    ),
    "mobilenet_v2": Published(
        3_504_872 + 2 * 17_056 + 52,
        300_774_272,
        {"conv1": 112, "conv2_1/linear": 112, "conv3_2/sum": 56, "conv7_3/sum": 7, "conv9": 7},
        shapes=images(64),
    ),
    "densenet121": Published(
        7_978_856 + 83_648 + 121,
        2_834_161_664,
        {"pool1": 56, "pool2": 28, "pool3": 14, "pool4": 7, "concat_5_16": 7},
        shapes=images(64),
    ),
    "inception_v3": Published(
        23_834_568 + 2 * 17_216 + 94,
        5_713_216_096,
        {"conv2": 147, "pool1": 73, "conv5": 71, "pool2": 35, "mixed/output": 35}
        | {"mixed_3/output": 17, "mixed_8/output": 8, "pool3": 1},
        training=27_161_264 + 2 * (17_216 + 128 + 768) + 96,
        # Of one image, the auxiliary classifier's BatchNorm would make 0: its blobs are 1x1.
        shapes=images(299, 2),
    ),
    "fcn8s": Published(
        # VGG-16's convolutions, fc6, fc7, three scores, three enlargements of 21 channels
        14_714_688 + 102_764_544 + 16_781_312 + 102_207 + 21 * (16 + 16 + 256),
        None,
        {"conv1_1": 698, "pool1": 349, "pool2": 175, "pool3": 88, "pool4": 44, "pool5": 22}
        | {"fc6": 16, "upscore2": 34, "upscore_pool4": 70, "upscore8": 568, "score": 500},
        shapes={"data": (1, 3, 32, 40), "label": (1, 1, 32, 40)},
    ),
    "hed": Published(
        # VGG-16's convolutions, five scores, their weighted sum, four enlargements
        14_714_688 + 1_477 + 6 + 16 + 64 + 256 + 1_024,
        None,
        {"conv1_1": 468, "pool1": 234, "pool2": 117, "pool3": 59, "pool4": 30}
        | {"upsample_16": 496, "upscore-dsn5": 400, "upscore-fuse": 400},
        shapes={"data": (1, 3, 48, 40), "label": (1, 1, 48, 40)},
    ),
    "unet": Published(
        31_030_658,
        None,
        {"conv_d0b": 568, "conv_d1b": 280, "conv_d2b": 136, "conv_d3b": 64, "conv_bottomb": 28}
        | {"upconv_u3": 56, "conv_u3b": 52, "crop_d0": 392, "score": 388},
        shapes={"data": (1, 1, 188, 188), "label": (1, 1, 4, 4)},
    ),
    "siamese": Published(
        431_080 + 2 * 10 + 2,
        64 * 2 * (2_293_000 + 20),
        {"conv1_p": 24, "pool1": 12, "pool2_p": 4},
        shapes={"pair_data": (2, 2, 28, 28), "sim": (2,)},
    ),
    "autoencoder": Published(2_837_314, 100 * 2_833_000, {}, shapes={"data": (2, 1, 28, 28)}),
    "captioner": Published(
        # words, the two LSTMs (one with the picture too), scores
        8_801_000 + 8_004_000 + 12_004_000 + 8_809_801,
        # for each step and caption; the picture's part once a caption
        20 * 16 * (8_000_000 + 8_000_000 + 8_801_000) + 16 * 4_000_000,
        {},
        shapes={"cont": (3, 2), "input_sentence": (3, 2), "target_sentence": (3, 2)}
        | {"image_features": (2, 1000)},
    ),
}
