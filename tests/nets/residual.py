"""ResNet-18, 50 and 152, and SE-ResNet-50."""

from __future__ import annotations

from nets.writer import Writer, image_net

MSRA = 'weight_filler { type: "msra" }'
LEARN = "param { lr_mult: 1 decay_mult: 1 }"


def _stem(name: str, about: str) -> Writer:
    net = image_net(name, about, 224, learn=LEARN, filler=MSRA)
    net.convolution("conv1", "data", 64, 7, stride=2, pad=3, bias=False)
    net.batch_norm("bn_conv1", "conv1", "scale_conv1")
    net.relu("conv1_relu", "conv1")
    net.pool("pool1", "conv1", "MAX", 3, 2)
    return net


def _branch(
    net: Writer, unit: str, part: str, bottom: str, filters: int, kernel: int, stride: int = 1
) -> str:
    top = net.convolution(
        f"res{unit}_{part}", bottom, filters, kernel, stride=stride, pad=kernel // 2, bias=False
    )
    return net.batch_norm(f"bn{unit}_{part}", top, f"scale{unit}_{part}")


def _basic(net: Writer, unit: str, bottom: str, filters: int, stride: int) -> str:
    blob = _branch(net, unit, "branch2a", bottom, filters, 3, stride)
    net.relu(f"res{unit}_branch2a_relu", blob)
    return _branch(net, unit, "branch2b", blob, filters, 3)


def _bottleneck(net: Writer, unit: str, bottom: str, filters: int, stride: int) -> str:
    """As in the first version of the paper, the first 1x1 has the stride."""
    blob = _branch(net, unit, "branch2a", bottom, filters // 4, 1, stride)
    net.relu(f"res{unit}_branch2a_relu", blob)
    blob = _branch(net, unit, "branch2b", blob, filters // 4, 3)
    net.relu(f"res{unit}_branch2b_relu", blob)
    return _branch(net, unit, "branch2c", blob, filters, 1)


def _squeeze_excite(net: Writer, unit: str, bottom: str, filters: int) -> str:
    """Each channel times a gate between 0 and 1 that is computed from all channels' means."""
    learn, net.learn = net.learn, f"{net.learn} param {{ lr_mult: 2 decay_mult: 0 }}"
    blob = net.global_pool(f"se{unit}_pool", bottom)
    blob = net.convolution(f"se{unit}_reduce", blob, filters // 16, 1)
    net.relu(f"se{unit}_relu", blob)
    blob = net.convolution(f"se{unit}_expand", blob, filters, 1)
    net.add(f"se{unit}_sigmoid", "Sigmoid", blob, top=blob)
    blob = net.add(f"se{unit}_gate", "Reshape", blob, "reshape_param { shape { dim: 0 dim: 0 } }")
    net.learn = learn
    return net.add(f"se{unit}_scale", "Scale", [bottom, blob], "scale_param { axis: 0 }")


def _units(stage: int, count: int) -> list[str]:
    """2a, 2b, 2c; of many, 3a, 3b1, 3b2, ..."""
    if count <= 6:
        return [f"{stage}{letter}" for letter in "abcdef"[:count]]
    return [f"{stage}a", *(f"{stage}b{index}" for index in range(1, count))]


def resnet(depth: int, counts: tuple[int, ...], excited: bool = False) -> str:
    """He et al. 2015; with ``excited``, Hu et al. 2017."""
    name = f"{'SE-' if excited else ''}ResNet-{depth}"
    paper = "Hu et al. 2017 (arXiv:1709.01507)" if excited else "He et al. 2015 (arXiv:1512.03385)"
    net = _stem(name, f"{name} of {paper}.")
    blob, unit_of, width = "pool1", *((_basic, 64) if depth < 50 else (_bottleneck, 256))
    channels = 64
    for stage, count in enumerate(counts, 2):
        filters = width * 2 ** (stage - 2)
        for index, unit in enumerate(_units(stage, count)):
            stride = 2 if stage > 2 and index == 0 else 1
            shortcut = blob
            if channels != filters:
                shortcut = _branch(net, unit, "branch1", blob, filters, 1, stride)
            blob = unit_of(net, unit, blob, filters, stride)
            blob = _squeeze_excite(net, unit, blob, filters) if excited else blob
            blob = net.eltwise_sum(f"res{unit}", [shortcut, blob])
            net.relu(f"res{unit}_relu", blob)
            channels = filters
    net.learn = f"{net.learn} param {{ lr_mult: 2 decay_mult: 0 }}"
    net.classify(net.inner_product("fc1000", net.global_pool("pool5", blob), 1000))
    return net.text
