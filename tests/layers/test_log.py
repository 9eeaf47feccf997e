import numpy as np

from contract import Case, LayerContract
from torchcaffe.layers._exactness import ulp
from torchcaffe.proto.schema import LayerParameter, LogParameter

POSITIVE = np.geomspace(1e-6, 1e6, 60)


def argument(x: float, p: LogParameter) -> np.float32:
    scaled = np.float32(x) * np.float32(p.scale)
    return scaled if p.shift == 0 else scaled + np.float32(p.shift)


def log_base(p: LogParameter) -> np.float32:
    return np.float32(1) if p.base == -1 else np.float32(np.log(p.base))


class TestLog(LayerContract):
    caffe_type = "Log"
    cases = {
        "plain": Case(bottoms=[POSITIVE]),
        "five-axes": Case(bottoms=[POSITIVE.reshape(2, 1, 3, 2, 5)]),
        "near-1": Case(bottoms=[np.linspace(0.9, 1.1, 41)]),
        "not-positive": Case(bottoms=[np.array([0.0, -0.0, -1.0, np.inf, -np.inf, np.nan])]),
        "affine": Case("log_param { scale: 2 shift: 0.5 }", bottoms=[POSITIVE]),
        "base": Case("log_param { base: 10 }", bottoms=[POSITIVE]),
        "base-below-1": Case("log_param { base: 0.5 scale: 3 shift: 1 }", bottoms=[POSITIVE]),
        "scale-0": Case("log_param { scale: 0 shift: 2 base: 2.5 }"),
        "in-place": Case("log_param { scale: 2 shift: 3 base: 2 }", [POSITIVE], in_place=True),
    }
    refusals = {
        "base-0": (Case("log_param { base: 0 }"), "base must be positive and finite, or -1 for e"),
        "base-negative": (Case("log_param { base: -2 }"), "or -1 for e; got -2"),
        "base-1": (Case("log_param { base: 1 }"), "base must not be 1, whose logarithm is 0"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, (x,) = param.log_param, bottoms
        unit = np.float32(1) / log_base(p)
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = np.float32(np.log(np.float64(argument(x[index], p)))) * unit
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        p, (dy,) = param.log_param, top_diffs
        in_place = param.bottom[0] == param.top[0]
        (data,) = TestLog.reference(param, bottoms, blobs, phase) if in_place else bottoms
        dx = np.empty_like(data)
        for index in np.ndindex(data.shape):
            slope = np.float64(1) / argument(data[index], p) * p.scale / log_base(p)
            # dx lies over dy: the slope is there before the two are multiplied.
            dx[index] = slope * (slope if in_place else dy[index])
        return [dx], []


def test_natural_logarithm_is_held_to_a_unit() -> None:
    case = TestLog.cases["affine"]
    assert TestLog().build(case).steps[-1].exactness == ulp(1)
