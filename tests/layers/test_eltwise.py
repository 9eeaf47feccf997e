import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter

A = (2, 3, 2, 2)
TIES = [np.array([1.0, 2.0, 3.0, 1.0, -0.0]), np.array([1.0, 3.0, 2.0, 1.0, 0.0])]
THREE = [*TIES, np.array([1.0, 3.0, 4.0, 2.0, 0.0])]
NAN = [
    np.array([np.nan, 1.0, np.nan, np.inf, -np.inf]),
    np.array([1.0, np.nan, np.nan, 1.0, -np.inf]),
    np.array([0.0, 2.0, 2.0, np.nan, -1.0]),
]
ZEROS = [np.array([0.0, 0.0, 2.0]), np.array([3.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0])]


def body(operation: str, more: str = "") -> str:
    return f"eltwise_param {{ operation: {operation} {more} }}"


class TestEltwise(LayerContract):
    caffe_type = "Eltwise"
    cases = {
        "default": Case(bottoms=[A, A]),
        "sum-of-five": Case(body("SUM"), [(7,)] * 5),
        "difference": Case(body("SUM", "coeff: 1 coeff: -1"), [A, A]),
        "powers-of-two": Case(body("SUM", "coeff: 2 coeff: -0.5 coeff: 0"), [A, A, A]),
        "coefficients": Case(body("SUM", "coeff: 0.3 coeff: -0.7 coeff: 1.1"), [A, A, A]),
        "negated": Case(body("SUM", "coeff: -1 coeff: 1"), [A, A]),
        "product": Case(body("PROD"), [A, A]),
        "product-of-four": Case(body("PROD"), [A, A, A, A]),
        "product-with-zeros": Case(body("PROD"), ZEROS),
        "unstable": Case(body("PROD", "stable_prod_grad: false"), [A, A, A]),
        "unstable-at-zero": Case(body("PROD", "stable_prod_grad: false"), ZEROS[:2]),
        "max": Case(body("MAX"), [A, A]),
        "max-of-four": Case(body("MAX"), [A, A, A, A]),
        "max-ties": Case(body("MAX"), TIES),
        "max-ties-of-three": Case(body("MAX"), THREE),
        "max-ignores-coeff": Case(body("MAX", "coeff: 2 coeff: 3"), [A, A]),
        "max-nan": Case(body("MAX"), NAN[:2]),
        "max-nan-of-three": Case(body("MAX"), NAN),
    }
    refusals = {
        "shapes": (
            Case(bottoms=[(2, 3), (2, 3, 1)]),
            'all bottoms must have one shape; "b1" is 2x3x1, "b0" 2x3',
        ),
        "one-bottom": (Case(), "takes at least 2 bottoms, got 1"),
        "coefficients": (
            Case(body("SUM", "coeff: 1"), [A, A]),
            "has 1 coeff for 2 bottoms; give one for each",
        ),
        "product-coefficients": (
            Case(body("PROD", "coeff: 1 coeff: 2"), [A, A]),
            "operation PROD takes no coeff; only SUM has coefficients",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.eltwise_param
        kind = bottoms[0].dtype.type
        y = np.empty_like(bottoms[0])
        for index in np.ndindex(y.shape):
            values = [bottom[index] for bottom in bottoms]
            if p.operation == "SUM":
                y[index] = 0
                for value, coeff in zip(values, p.coeff or [1] * len(values), strict=True):
                    y[index] += kind(coeff) * value
            elif p.operation == "PROD":
                y[index] = values[0] * values[1]
                for value in values[2:]:
                    y[index] *= value
            else:
                y[index] = values[winner(values)]
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        (dy,), p = top_diffs, param.eltwise_param
        bottoms = [bottom.astype(np.float32) for bottom in bottoms]
        diffs = [np.zeros_like(bottom) for bottom in bottoms]
        for index in np.ndindex(dy.shape):
            values = [bottom[index] for bottom in bottoms]
            for place, diff in enumerate(diffs):
                if p.operation == "SUM":
                    diff[index] = (np.float32(p.coeff[place]) if p.coeff else 1) * dy[index]
                elif p.operation == "MAX":
                    diff[index] = dy[index] if winner(values) == place else 0
                elif p.stable_prod_grad:
                    others = values[:place] + values[place + 1 :]
                    factor = others[0]
                    for other in others[1:]:
                        factor *= other
                    diff[index] = factor * dy[index]
                else:
                    y = values[0]
                    for value in values[1:]:
                        y *= value
                    diff[index] = y / values[place] * dy[index]
        return diffs, []


def winner(values: list[np.float32]) -> int:
    best = 0 if values[0] > values[1] else 1
    for place in range(2, len(values)):
        if values[place] > values[best]:
            best = place
    return best
