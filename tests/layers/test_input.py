import numpy as np
import pytest

from contract import Case, LayerContract
from torchcaffe.errors import InputError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter

TWO = "shape { dim: 2 dim: 3 } shape { dim: 4 }"


class Given(Case):
    """A case whose values are given to the layer's tops."""

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"t{index}": np.full((2, index + 1), 3, np.float32) for index in range(self.tops)}


def case(more: str, tops: int = 1) -> Case:
    return Given(f"input_param {{ {more} }}", [], tops)


class TestInput(LayerContract):
    caffe_type = "Input"
    cases = {
        "one-shape": case("shape { dim: 2 dim: 1 }"),
        "two-shapes": case("shape { dim: 2 dim: 1 } shape { dim: 2 dim: 2 }", 2),
    }
    refusals = {
        "shapes": (case(TWO, 3), "has 2 shapes for 3 tops; give one for all, one for each"),
        "no-shape": (case(""), "has 0 shapes for 1 tops"),
        "negative": (case("shape { dim: -1 }"), "has a negative dim in shape (-1,)"),
        "a-bottom": (Case("input_param { shape { dim: 2 } }"), "takes 0 bottoms, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        return bottoms

    def test_gives_what_it_is_given(self) -> None:
        net = CaffeNet(case(TWO, 2).net("Input"), "TEST")
        assert net.inputs == {"t0": (2, 3), "t1": (4,)}
        values = {"t0": np.ones((5, 1)), "t1": np.zeros(4)}
        for name, top in net(**values).items():
            assert np.array_equal(top.numpy(), values[name])

    def test_one_shape_is_for_all(self) -> None:
        net = CaffeNet(case("shape { dim: 2 }", 2).net("Input"), "TEST")
        assert net.inputs == {"t0": (2,), "t1": (2,)}

    def test_a_missing_input_is_named(self) -> None:
        net = CaffeNet(case(TWO, 2).net("Input"), "TEST")
        with pytest.raises(InputError, match='input "t1" is missing'):
            net(t0=np.ones((2, 3)))
