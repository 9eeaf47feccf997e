import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


def body(more: str) -> str:
    return f"tile_param {{ {more} }}"


class TestTile(LayerContract):
    caffe_type = "Tile"
    cases = {
        "default": Case(body("tiles: 3")),
        "first": Case(body("axis: 0 tiles: 2")),
        "last": Case(body("axis: -1 tiles: 4"), [(2, 3)]),
        "once": Case(body("tiles: 1")),
        "one-axis": Case(body("axis: 0 tiles: 5"), [(3,)]),
        "five-axes": Case(body("axis: 2 tiles: 2"), [(1, 2, 3, 1, 2)]),
    }
    refusals = {
        "none": (Case(body("axis: 1")), "has no tiles; give how often to repeat"),
        "zero": (Case(body("tiles: 0")), "tiles must be 1 or more, got 0"),
        "axis": (Case(body("tiles: 2 axis: 4")), "axis 4 is out of range"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.tile_param
        axis = p.axis % x.ndim
        y = np.empty((*x.shape[:axis], x.shape[axis] * p.tiles, *x.shape[axis + 1 :]), x.dtype)
        for index in np.ndindex(y.shape):
            y[index] = x[(*index[:axis], index[axis] % x.shape[axis], *index[axis + 1 :])]
        return [y]
