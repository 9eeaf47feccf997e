import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter

Array = np.ndarray
Shape = tuple[int, ...]


def case(options: str, data: Shape, reference: Shape) -> Case:
    return Case(f"crop_param {{ {options} }}", [data, reference])


class TestCrop(LayerContract):
    caffe_type = "Crop"
    cases = {
        "default": Case(bottoms=[(2, 3, 4, 5), (1, 1, 2, 3)]),
        "one-offset": case("offset: 1", (2, 3, 4, 5), (2, 3, 2, 3)),
        "two-offsets": case("offset: 2 offset: 0", (1, 2, 5, 6), (1, 2, 3, 6)),
        "axis-from-the-end": case("axis: -2 offset: 0 offset: 2", (1, 1, 4, 4), (1, 1, 2, 2)),
        "axis-1": case("axis: 1 offset: 1", (2, 4, 4, 5), (7, 3, 2, 4)),
        "axis-0": case("axis: 0 offset: 1 offset: 0 offset: 2", (3, 2, 4), (2, 1, 1)),
        "last-axis": case("axis: 3", (1, 2, 3, 6), (5, 5, 5, 4)),
        "one-axis": case("axis: 0 offset: 3", (9,), (4,)),
        "five-axes": case("axis: 3 offset: 1", (1, 2, 2, 4, 5), (1, 1, 1, 2, 2)),
        "longer-reference": case("axis: 1", (2, 4, 4), (1, 2, 3, 9)),
        "nothing-cut": Case(bottoms=[(1, 2, 3, 4), (1, 2, 3, 4)]),
    }
    refusals = {
        "one-bottom": (Case(), "takes 2 bottoms, got 1"),
        "axis": (
            case("axis: 4", (1, 2, 3, 4), (1, 2, 3, 4)),
            "axis 4 is out of range for a bottom with 4 axes 1x2x3x4",
        ),
        "offsets": (
            case("axis: 1 offset: 0 offset: 0", (1, 2, 3, 4), (1, 2, 3, 4)),
            "has 2 offsets for 3 axes from axis 1 on; give 1 or 3",
        ),
        "too-large": (
            case("", (1, 2, 3, 4), (1, 2, 4, 4)),
            "cannot cut 4 from axis 2 of 1x2x3x4, starting at 0",
        ),
        "offset-too-large": (
            case("offset: 2", (1, 2, 3, 4), (1, 2, 2, 1)),
            "cannot cut 2 from axis 2 of 1x2x3x4, starting at 2",
        ),
        "short-reference": (
            case("", (1, 2, 3, 4), (1, 2, 3)),
            "its reference has 3 axes, the bottom to cut 4",
        ),
        "in-place": (
            Case('top: "b0"', [(1, 1, 2, 2), (1, 1, 2, 2)], tops=0),
            "overwrites its own input",
        ),
    }

    @staticmethod
    def places(param: LayerParameter, x: Array, reference: Array) -> list[tuple[int, int]]:
        """Offset and size of each axis."""
        p = param.crop_param
        axis = p.axis + x.ndim if p.axis < 0 else p.axis
        found = []
        for place in range(x.ndim):
            if place < axis:
                found.append((0, x.shape[place]))
            elif len(p.offset) > 1:
                found.append((p.offset[place - axis], reference.shape[place]))
            else:
                found.append((p.offset[0] if p.offset else 0, reference.shape[place]))
        return found

    @classmethod
    def reference(
        cls, param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        places = cls.places(param, *bottoms)
        y = np.zeros([size for _, size in places], np.float32)
        for index in np.ndindex(y.shape):
            y[index] = bottoms[0][
                tuple(i + offset for i, (offset, _) in zip(index, places, strict=True))
            ]
        return [y]

    @classmethod
    def reference_backward(
        cls,
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array | None], list[Array]]:
        places = cls.places(param, *bottoms)
        dx = np.zeros_like(bottoms[0])
        for index, diff in np.ndenumerate(top_diffs[0]):
            dx[tuple(i + offset for i, (offset, _) in zip(index, places, strict=True))] = diff
        return [dx, None], []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("offset: 1", [[5, 6], [9, 10]]),
        ("axis: -2 offset: 0 offset: 2", [[2, 3], [6, 7]]),
    ],
)
def test_cuts_as_caffe_does(options: str, expected: list[list[float]]) -> None:
    net = CaffeNet(case(options, (1, 1, 4, 4), (1, 1, 2, 2)).net("Crop"), "TEST")
    y = net(b0=torch.arange(16.0).view(1, 1, 4, 4), b1=torch.zeros(1, 1, 2, 2))["t0"]
    assert y[0, 0].tolist() == expected


def test_follows_the_reference_when_it_runs() -> None:
    net = CaffeNet(case("offset: 1", (1, 1, 4, 4), (1, 1, 2, 2)).net("Crop"), "TEST")
    y = net(b0=torch.arange(36.0).view(1, 1, 6, 6), b1=torch.zeros(1, 1, 5, 1))["t0"]
    assert y[0, 0].tolist() == [[7.0], [13.0], [19.0], [25.0], [31.0]]
    with pytest.raises(LayerError) as caught:
        net(b0=torch.zeros(1, 1, 4, 4), b1=torch.zeros(1, 1, 4, 4))
    assert "cannot be computed for 1x1x4x4, 1x1x4x4" in str(caught.value)
