"""A stand-in for pycaffe made of numpy, for Python 2.7 and 3: one fixed net of three layers.

data -> ip (InnerProduct) -> relu (in place) -> loss (SoftmaxWithLoss with label).
FAKE_CAFFE=old leaves out what pycaffe did not have before 2015: the names of bottoms and tops, and
seeding. FAKE_CAFFE=unfed puts a MemoryData layer first; FAKE_CAFFE=lossless computes no gradient.
"""

# ruff: noqa: UP004, B905, RUF005, PTH123

import os
from collections import OrderedDict

import numpy as np

TRAIN, TEST = 0, 1
OLD = os.environ.get("FAKE_CAFFE") == "old"
UNFED = os.environ.get("FAKE_CAFFE") == "unfed"
LOSSLESS = os.environ.get("FAKE_CAFFE") == "lossless"
_random = np.random.RandomState(0)


class Blob(object):
    def __init__(self, *shape):
        self.reshape(*shape)

    def reshape(self, *shape):
        self.data = np.zeros(shape, np.float32)
        self.diff = np.zeros(shape, np.float32)


class Layer(object):
    def __init__(self, kind, blobs=()):
        self.type = kind
        self.blobs = list(blobs)


class Net(object):
    def __init__(self, path, phase):
        self.phase = phase
        self._blob_names = ["data", "label", "ip", "loss"]
        self._blobs = [Blob(4, 3), Blob(4), Blob(4, 5), Blob()]
        self.blobs = OrderedDict(zip(self._blob_names, self._blobs))
        self._layer_names = ["data", "label", "ip", "relu", "loss"]
        weight, bias = Blob(5, 3), Blob(5)
        weight.data[...] = _random.standard_normal((5, 3))
        bias.data[...] = 0.1
        kinds = ["MemoryData" if UNFED else "Input", "Input", "InnerProduct", "ReLU"]
        self.layers = [Layer(kind) for kind in kinds + ["SoftmaxWithLoss"]]
        self.layers[2].blobs = [weight, bias]
        self.params = {"ip": self.layers[2].blobs}
        self.inputs, self.outputs = ["data", "label"], ["loss"]
        self.blobs["loss"].diff[...] = 1
        if not OLD:
            bottoms, tops = [[], [], [0], [2], [2, 1]], [[0], [1], [2], [2], [3]]
            self._bottom_ids, self._top_ids = bottoms.__getitem__, tops.__getitem__

    def copy_from(self, path):
        with open(path, "rb") as file:
            self.layers[2].blobs[0].data[...] = np.load(file)

    def reshape(self):
        count = self.blobs["data"].data.shape[0]
        if self.blobs["ip"].data.shape[0] != count:
            self.blobs["ip"].reshape(count, 5)

    def _forward(self, first, last):
        weight, bias = self.layers[2].blobs
        ip = self.blobs["ip"]
        for index in range(first, last + 1):
            if index == 2:
                ip.data[...] = self.blobs["data"].data.dot(weight.data.T) + bias.data
            elif index == 3:
                ip.data[...] = np.maximum(ip.data, 0)
            elif index == 4:
                labels = self.blobs["label"].data.astype(int)
                self.prob = np.exp(ip.data - ip.data.max(1, keepdims=True))
                self.prob /= self.prob.sum(1, keepdims=True)
                picked = self.prob[np.arange(len(labels)), labels]
                self.blobs["loss"].data[...] = -np.log(picked).mean()
        return float(self.blobs["loss"].data) if last == 4 else 0.0

    def _backward(self, last, first):
        weight, bias = self.layers[2].blobs
        ip = self.blobs["ip"]
        for index in range(last, first - 1, -1) if not LOSSLESS else []:
            if index == 4:
                labels = self.blobs["label"].data.astype(int)
                ip.diff[...] = self.prob
                ip.diff[np.arange(len(labels)), labels] -= 1
                ip.diff[...] /= len(labels)
            elif index == 3:
                ip.diff[...] *= ip.data > 0
            elif index == 2:
                weight.diff[...] += ip.diff.T.dot(self.blobs["data"].data)
                bias.diff[...] += ip.diff.sum(0)


class SGDSolver(object):
    def __init__(self, path):
        self.net = Net(path, TRAIN)

    def step(self, count):
        for _ in range(count):
            for blob in self.net.layers[2].blobs:
                blob.diff[...] = 0
            self.net._forward(0, 4)
            self.net._backward(4, 0)
            for blob in self.net.layers[2].blobs:
                blob.data[...] -= 0.1 * blob.diff


def set_mode_cpu():
    pass


if not OLD:

    def set_random_seed(seed):
        _random.seed(seed)
