import numpy as np

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


def body(*dims: int) -> str:
    listed = " ".join(f"dim: {dim}" for dim in dims)
    return f"parameter_param {{ shape {{ {listed} }} }}"


class TestParameter(LayerContract):
    caffe_type = "Parameter"
    cases = {
        "matrix": Case(body(2, 3), []),
        "no-axes": Case(body(), []),
        "five-axes": Case(body(2, 1, 2, 1, 3), []),
    }
    refusals = {
        "empty": (Case(body(2, 0), []), "every dim must be positive, got (2, 0)"),
        "a-bottom": (Case(body(2)), "takes 0 bottoms, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        return [blobs[0].copy()]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        return [], [top_diffs[0]]

    def test_is_zero_at_first(self) -> None:
        net = CaffeNet(self.cases["matrix"].net("Parameter"), "TEST")
        assert net()["t0"].eq(0).all()
