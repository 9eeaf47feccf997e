import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


class TestThreshold(LayerContract):
    caffe_type = "Threshold"
    cases = {
        "zero": Case(),
        "five-axes": Case(bottoms=[(2, 1, 2, 3, 2)]),
        "positive": Case("threshold_param { threshold: 0.2 }"),
        "at-it": Case(
            "threshold_param { threshold: 0.2 }",
            bottoms=[np.array([np.float32(0.2), 0.2 + 1e-7, 0.2 - 1e-7])],
        ),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf, -0.0])]),
        "in-place": Case("threshold_param { threshold: -0.2 }", in_place=True),
    }
    refusals = {
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = 1 if x[index] > np.float32(param.threshold_param.threshold) else 0
        return [y]


def test_has_no_gradient() -> None:
    case = Case()
    net = TestThreshold().build(case)
    run = net.run({"b0": TestThreshold().inputs(case)["b0"].requires_grad_()})
    assert not run.blobs["t0"].requires_grad
