"""Inception-v3."""

from __future__ import annotations

from nets.writer import Writer, image_net

MSRA = 'weight_filler { type: "msra" }'


class Branches:
    """One Inception module: branches that all read the same bottom, named by their place."""

    def __init__(self, net: Writer, name: str, bottom: str) -> None:
        self.net, self.name, self.bottom = net, name, bottom
        self.ends: list[str] = []

    def branch(self, *layers: tuple[object, ...], pool: str = "") -> str:
        """A chain of (filters, kernel[, stride]) behind an optional pooling; its last blob."""
        at = f"{self.name}/b{len(self.ends) + 1}"
        blob = self.bottom
        if pool:
            stride, pad = (2, 0) if pool == "MAX" else (1, 1)
            blob = self.net.pool(f"{at}/pool", blob, pool, 3, stride, pad)
        for index, layer in enumerate(layers, 1):
            blob = convolution(self.net, f"{at}/conv{index}", blob, *layer)
        self.ends.append(blob)
        return blob

    def fork(self, blob: str, filters: int) -> None:
        """In place of the last branch, its end convolved by 1x3 and by 3x1."""
        self.ends.pop()
        for kernel in ((1, 3), (3, 1)):
            name = f"{blob}_{kernel[0]}x{kernel[1]}"
            self.ends.append(convolution(self.net, name, blob, filters, kernel))

    def join(self) -> str:
        """The module's output."""
        return self.net.concat(f"{self.name}/output", self.ends)


def convolution(
    net: Writer,
    name: str,
    bottom: str,
    filters: int,
    kernel: object,
    stride: int = 1,
    pad: bool = True,
) -> str:
    """A convolution that keeps its size at stride 1, BatchNorm, ReLU."""
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = (sides[0] // 2, sides[1] // 2) if pad and stride == 1 and sides != (1, 1) else 0
    if not isinstance(kernel, tuple) and padding:
        padding = padding[0]
    net.convolution(name, bottom, filters, kernel, stride=stride, pad=padding, bias=False)
    net.batch_norm(f"{name}/bn", name, f"{name}/scale", eps=0.001)
    return net.relu(f"{name}/relu", name)


def _module_35(net: Writer, name: str, bottom: str, projected: int) -> str:
    module = Branches(net, name, bottom)
    module.branch((64, 1))
    module.branch((48, 1), (64, 5))
    module.branch((64, 1), (96, 3), (96, 3))
    module.branch((projected, 1), pool="AVE")
    return module.join()


def _module_17(net: Writer, name: str, bottom: str, width: int) -> str:
    module = Branches(net, name, bottom)
    row, column = (1, 7), (7, 1)
    module.branch((192, 1))
    module.branch((width, 1), (width, row), (192, column))
    module.branch((width, 1), (width, column), (width, row), (width, column), (192, row))
    module.branch((192, 1), pool="AVE")
    return module.join()


def _module_8(net: Writer, name: str, bottom: str) -> str:
    module = Branches(net, name, bottom)
    module.branch((320, 1))
    module.fork(module.branch((384, 1)), 384)
    module.fork(module.branch((448, 1), (384, 3)), 384)
    module.branch((192, 1), pool="AVE")
    return module.join()


def _auxiliary(net: Writer, bottom: str) -> None:
    """A second classifier on the last 17x17 blob, in TRAIN; its loss counts 0.3."""
    with net.only("TRAIN"):
        blob = net.pool("aux/pool", bottom, "AVE", 5, 3)
        blob = convolution(net, "aux/conv1", blob, 128, 1)
        blob = convolution(net, "aux/conv2", blob, 768, 5, 1, False)
        blob = net.inner_product("aux/classifier", blob, 1000)
        net.add("aux/loss", "SoftmaxWithLoss", [blob, "label"], "loss_weight: 0.3")


def inception_v3() -> str:
    """Szegedy et al. 2015, as trained for the paper's final figures."""
    about = (
        "Inception-v3 of Szegedy et al. 2015 (arXiv:1512.00567), its auxiliary classifier in TRAIN."
    )
    net = image_net("Inception-v3", about, 299, filler=MSRA)
    blob = convolution(net, "conv1", "data", 32, 3, 2)
    blob = convolution(net, "conv2", blob, 32, 3, 1, False)
    blob = convolution(net, "conv3", blob, 64, 3)
    blob = net.pool("pool1", blob, "MAX", 3, 2)
    blob = convolution(net, "conv4", blob, 80, 1)
    blob = convolution(net, "conv5", blob, 192, 3, 1, False)
    blob = net.pool("pool2", blob, "MAX", 3, 2)
    for name, projected in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        blob = _module_35(net, name, blob, projected)
    module = Branches(net, "mixed_3", blob)
    module.branch((384, 3, 2))
    module.branch((64, 1), (96, 3), (96, 3, 2))
    module.branch(pool="MAX")
    blob = module.join()
    for name, width in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        blob = _module_17(net, name, blob, width)
    _auxiliary(net, blob)
    module = Branches(net, "mixed_8", blob)
    module.branch((192, 1), (320, 3, 2))
    module.branch((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2))
    module.branch(pool="MAX")
    blob = module.join()
    for name in ("mixed_9", "mixed_10"):
        blob = _module_8(net, name, blob)
    blob = net.pool("pool3", blob, "AVE", 8, 1)
    net.dropout("drop", blob, 0.2)
    net.classify(net.inner_product("classifier", blob, 1000))
    return net.text
