"""What every layer that reads data owes beside the contract of all layers."""

import copy
from collections.abc import Sequence

import numpy as np
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import TransformationParameter
from torchcaffe.random import Mersenne

Array = np.ndarray


class DataContract(LayerContract):
    """Inherit instead of LayerContract; the net then gives a new batch at each pass."""

    def ready(self, net: CaffeNet) -> CaffeNet:
        """Give the layer what it does not read by itself."""
        return net

    def build(self, case: Case) -> CaffeNet:
        return self.ready(super().build(case))

    def passes(self, net: CaffeNet, count: int) -> list[dict[str, torch.Tensor]]:
        return [self.tops(net, net.run({})) for _ in range(count)]

    def test_is_deterministic_and_leaves_its_input_alone(self, case: Case) -> None:
        """Built again, it gives the same batches."""
        same(self.passes(self.build(case), 4), self.passes(self.build(case), 4))

    def test_a_copy_goes_on_by_itself(self, case: Case) -> None:
        whole = self.passes(self.build(case), 6)
        net = self.build(case)
        same(self.passes(net, 2), whole[:2])
        twin = copy.deepcopy(net)
        same(self.passes(twin, 3), whole[2:5])
        same(self.passes(net, 4), whole[2:])
        same(self.passes(twin, 1), whole[5:])

    def test_goes_back_to_where_it_was(self, case: Case) -> None:
        net = self.build(case)
        layer = net.data_layers["layer"]
        self.passes(net, 1)
        position = copy.deepcopy(layer.position())
        after = self.passes(net, 5)
        layer.go_to(position)
        same(self.passes(net, 5), after)
        other = self.build(case)
        other.data_layers["layer"].go_to(position)
        same(self.passes(other, 5), after)

    def test_takes_the_type_of_the_net(self, case: Case) -> None:
        single = self.passes(self.build(case), 1)[0]
        double = self.passes(self.build(case).double(), 1)[0]
        for name, top in double.items():
            assert top.dtype == torch.float64
            assert torch.equal(top, single[name].double())


def same(
    ours: Sequence[dict[str, torch.Tensor]], theirs: Sequence[dict[str, torch.Tensor]]
) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert list(mine) == list(other)
        for name in mine:
            assert torch.equal(mine[name], other[name])


def seeded(stream: Mersenne, p: TransformationParameter, phase: str) -> Mersenne | None:
    """A transformer's stream."""
    return Mersenne(stream.word()) if p.mirror or (phase == "TRAIN" and p.crop_size) else None


def transformed(
    image: Array,
    p: TransformationParameter,
    phase: str,
    stream: Mersenne | None,
    mean: Array | None,
) -> Array:
    """One image (C, H, W) through the transformer, pixel by pixel."""
    channels, height, width = image.shape
    mirror = p.mirror and stream is not None and stream.word() % 2 == 1
    rows, columns, top, left = height, width, 0, 0
    if p.crop_size:
        rows = columns = p.crop_size
        top, left = (height - rows) // 2, (width - columns) // 2
        if phase == "TRAIN":
            assert stream is not None
            top = stream.word() % (height - rows + 1)
            left = stream.word() % (width - columns + 1)
    out = np.empty((channels, rows, columns), np.float32)
    for c in range(channels):
        for h in range(rows):
            for w in range(columns):
                value = np.float32(image[c, top + h, left + w])
                if mean is not None:
                    value = value - mean[c, top + h, left + w]
                elif p.mean_value:
                    values = p.mean_value
                    value = value - np.float32(values[c if len(values) > 1 else 0])
                place = columns - 1 - w if mirror else w
                out[c, h, place] = value * np.float32(p.scale)
    return out
