import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


def body(operation: str, more: str = "") -> str:
    return f"reduction_param {{ operation: {operation} {more} }}"


class TestReduction(LayerContract):
    caffe_type = "Reduction"
    cases = {
        "default": Case(),
        **{
            f"{operation}-{axis}-{coeff}": Case(body(operation, f"axis: {axis} coeff: {coeff}"))
            for operation in ("SUM", "ASUM", "SUMSQ", "MEAN")
            for axis, coeff in ((0, 1), (1, 0.3), (3, -2), (-2, 0))
        },
        "one-axis": Case(body("MEAN"), [(7,)]),
        "one-number": Case(body("SUMSQ", "axis: -1"), [(3, 1)]),
        "mean-by-a-third": Case(body("MEAN", "axis: 1"), [(2, 3)]),
        "absolute-zero": Case(body("ASUM"), [np.array([0.0, -0.0, 2.0, -3.0])]),
    }
    refusals = {
        "axis": (Case(body("SUM", "axis: 4")), "axis 4 is out of range"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.reduction_param
        axis = p.axis % x.ndim
        y = np.zeros(x.shape[:axis])
        for index in np.ndindex(x.shape):
            value = x[index]
            if p.operation == "ASUM":
                value = abs(value)
            if p.operation == "SUMSQ":
                value = value * value
            y[index[:axis]] += value
        return [y * np.float32(coefficient(p, x, axis))]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (x,), (dy,), p = bottoms, top_diffs, param.reduction_param
        axis = p.axis % x.ndim
        dx = np.zeros(x.shape, np.float32)
        for index in np.ndindex(x.shape):
            value = np.float32(x[index])
            scale = dy[index[:axis]] * coefficient(p, x, axis)
            if p.operation == "ASUM":
                dx[index] = scale * np.float32(int(value > 0) - int(value < 0))
            elif p.operation == "SUMSQ":
                dx[index] = np.float32(2) * scale * value
            else:
                dx[index] = scale
        return [dx], []


def coefficient(p: object, x: np.ndarray, axis: int) -> np.float32:
    coeff = np.float32(p.coeff)  # type: ignore[attr-defined]
    if p.operation == "MEAN":  # type: ignore[attr-defined]
        coeff /= np.float32(np.prod(x.shape[axis:]))
    return coeff
