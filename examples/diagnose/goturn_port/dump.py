"""Write the dictionary of weights that port.py reads, and the net and solver that belong to it.

    python dump.py FOLDER [--width 64] [--transposed]

The weights are those with which Caffe begins, as there are none of ImageNet here. With --width the
net is as narrow as that. With --transposed the matrices lie in the dump as (inputs, outputs); a
port that reshapes them then has all the right numbers in the wrong places.
"""

import argparse
from pathlib import Path

import numpy as np

import torchcaffe

HERE = Path(__file__).parent
TOWER = {"conv1": "0", "conv2": "4", "conv3": "8", "conv4": "10", "conv5": "12"}
HEAD = {"fc6-new": "0", "fc7-new": "3", "fc7-newb": "6", "fc8-shapes": "9"}


def names():
    """The port's module for each layer."""
    for layer, place in TOWER.items():
        yield layer, f"target.{place}"
        yield f"{layer}_p", f"image.{place}"
    for layer, place in HEAD.items():
        yield layer, f"head.{place}"


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--transposed", action="store_true")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    net = (HERE / "net.prototxt").read_text().replace("4096", str(given.width))
    (given.folder / "net.prototxt").write_text(net)
    (given.folder / "solver.prototxt").write_text((HERE / "solver.prototxt").read_text())
    caffe = torchcaffe.load(given.folder / "net.prototxt", phase="TRAIN", seed=800)
    torchcaffe.save_weights(caffe, given.folder / "goturn.caffemodel")
    dump = {}
    for layer, name in names():
        weight, bias = (blob.detach().numpy() for blob in caffe.params[layer])
        if given.transposed and weight.ndim == 2:
            weight = weight.T
        dump |= {f"{name}.weight": weight, f"{name}.bias": bias}
    np.savez(given.folder / "goturn_dump.npz", **dump)


if __name__ == "__main__":
    main()
