import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


def body(*dims: int, more: str = "") -> str:
    listed = " ".join(f"dim: {dim}" for dim in dims)
    return f"reshape_param {{ shape {{ {listed} }} {more} }}"


SMALL = [(2, 3, 4)]


class TestReshape(LayerContract):
    caffe_type = "Reshape"
    cases = {
        "copy-and-infer": Case(body(0, -1, 2), SMALL),
        "flatten": Case(body(0, -1)),
        "fixed": Case(body(4, 6), SMALL),
        "whole": Case(body(-1)),
        "replace-one": Case(body(3, 1, more="axis: 1 num_axes: 1"), SMALL),
        "insert": Case(body(1, more="axis: 1 num_axes: 0"), SMALL),
        "append": Case(body(1, 1, more="axis: -1"), SMALL),
        "from-the-end": Case(body(2, -1, more="axis: -2"), SMALL),
        "copy-behind": Case(body(0, 0, -1, more="axis: 1"), [(2, 3, 4, 5)]),
        "copy-beyond-the-replaced": Case(body(3, 0, -1, more="axis: 0 num_axes: 1"), [(6, 2, 2)]),
        "nothing-to-infer": Case(body(0, 0, 0, -1), SMALL),
        "no-axes": Case(body(), [(1, 1)]),
        "nothing-removed": Case(body(more="axis: 1 num_axes: 1"), [(2, 1, 3)]),
    }
    refusals = {
        "count": (
            Case(body(2, 7)),
            "cannot put 120 numbers, a bottom of 2x3x4x5, in the shape 2x7",
        ),
        "indivisible": (Case(body(7, -1)), "in the shape 7x-1"),
        "two-inferred": (
            Case(body(-1, -1)),
            "a dim is a size, 0 to copy one, or once -1 to infer it; got -1, -1",
        ),
        "negative": (Case(body(-2, 3)), "got -2, 3"),
        "nothing-to-copy": (
            Case(body(0, 0, 0, 0, 0)),
            "dim 4 is 0, but a bottom of 2x3x4x5 has no axis 4 to copy",
        ),
        "axis": (
            Case(body(1, more="axis: 6")),
            "axis 6 is out of range for a bottom with 4 axes 2x3x4x5",
        ),
        "num_axes": (
            Case(body(1, more="axis: 3 num_axes: 3")),
            "axis 3 and num_axes 3 reach beyond a bottom with 4 axes 2x3x4x5",
        ),
        "negative-num_axes": (
            Case(body(1, more="num_axes: -2")),
            "num_axes must be 0 or more, or -1 for all, got -2",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.reshape_param
        start = p.axis if p.axis >= 0 else x.ndim + p.axis + 1
        stop = x.ndim if p.num_axes == -1 else start + p.num_axes
        shape = [*x.shape[:start], *p.shape.dim, *x.shape[stop:]]
        for place in range(start, start + len(p.shape.dim)):
            if shape[place] == 0:
                shape[place] = x.shape[place]
        if -1 in shape:
            known = 1
            for size in shape:
                known *= size if size != -1 else 1
            shape[shape.index(-1)] = x.size // known
        y = np.empty(shape, x.dtype)
        for ours, theirs in zip(np.ndindex(y.shape), np.ndindex(x.shape), strict=True):
            y[ours] = x[theirs]
        return [y]

    def test_copied_and_inferred_sizes_follow_the_bottom(self) -> None:
        net = CaffeNet(self.cases["copy-and-infer"].net("Reshape"), "TEST")
        assert net(np.ones((5, 2, 3)))["t0"].shape == (5, 3, 2)

    def test_refuses_another_count(self) -> None:
        net = CaffeNet(self.cases["fixed"].net("Reshape"), "TEST")
        with pytest.raises(LayerError, match=r'"layer".*cannot be computed for 5x3x4'):
            net(np.ones((5, 3, 4)))
