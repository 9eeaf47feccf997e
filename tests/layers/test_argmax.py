import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter

TIES = np.array([[5.0, 7.0, 7.0, 1.0], [2.0, 2.0, 2.0, 2.0], [0.0, -0.0, -1.0, 0.0]])
MAPS = np.tile(TIES[:, :, None], (1, 1, 2))


def body(more: str) -> str:
    return f"argmax_param {{ {more} }}"


class TestArgMax(LayerContract):
    caffe_type = "ArgMax"
    cases = {
        "default": Case(),
        "values": Case(body("out_max_val: true")),
        "top-3": Case(body("top_k: 3")),
        "top-3-values": Case(body("top_k: 3 out_max_val: true")),
        "axis": Case(body("axis: 2")),
        "axis-values": Case(body("axis: -1 out_max_val: true")),
        "axis-0-top-2": Case(body("axis: 0 top_k: 2")),
        "axis-top-2-values": Case(body("axis: 1 top_k: 2 out_max_val: true")),
        "all": Case(body("top_k: 4"), [(3, 4)]),
        "ties": Case(bottoms=[TIES]),
        "ties-top-2": Case(body("top_k: 2 out_max_val: true"), [TIES]),
        "ties-axis": Case(body("axis: 1 top_k: 3"), [MAPS]),
        "one-axis": Case(bottoms=[(5,)]),
        "one-axis-axis": Case(body("axis: 0 top_k: 2"), [(5,)]),
        "five-axes": Case(bottoms=[(2, 3, 1, 2, 2)]),
        "infinite": Case(bottoms=[np.array([[-np.inf, -np.inf], [np.inf, 0.0]])]),
    }
    refusals = {
        "top_k": (Case(body("top_k: 0")), "top_k must be 1 or more, got 0"),
        "item": (
            Case(body("top_k: 61")),
            "top_k 61 is more than the 60 numbers that an item of the bottom has",
        ),
        "axis-size": (
            Case(body("axis: 1 top_k: 4")),
            "top_k 4 is more than the 3 numbers that axis 1 of the bottom has",
        ),
        "axis": (Case(body("axis: 5")), "axis 5 is out of range"),
        "no-axes": (Case(bottoms=[()]), "takes a bottom of at least 1 axis, got ()"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.argmax_param
        rows = np.moveaxis(x, p.axis, -1) if p.has("axis") else x.reshape(len(x), -1)
        index = np.empty((*rows.shape[:-1], p.top_k), np.float32)
        value = np.empty_like(index)
        for where in np.ndindex(rows.shape[:-1]):
            pairs = [(number, place) for place, number in enumerate(rows[where])]
            for place, pair in enumerate(sorted(pairs, reverse=True)[: p.top_k]):
                value[(*where, place)], index[(*where, place)] = pair
        if p.has("axis"):
            return [np.moveaxis(value if p.out_max_val else index, -1, p.axis)]
        found = np.stack([index, value] if p.out_max_val else [index], 1)
        return [found.reshape(*found.shape, *[1] * (x.ndim - 3))]

    def test_the_later_of_equal_numbers_comes_first(self) -> None:
        """argmax gives 1, topk 1 and 2."""
        case = Case(body("top_k: 2"), [TIES[:1]])
        assert self.build(case).run(self.inputs(case)).blobs["t0"].flatten().tolist() == [2, 1]
