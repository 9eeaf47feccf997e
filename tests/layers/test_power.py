import numpy as np
import torch

from contract import Case, LayerContract
from torchcaffe.layers._exactness import bitwise
from torchcaffe.proto.schema import LayerParameter, PowerParameter

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0])


def affine(x: np.float32, p: PowerParameter) -> np.float32:
    if p.scale != 1:
        x = np.float32(x * np.float32(p.scale))
    if p.shift != 0:
        x = np.float32(x + np.float32(p.shift))
    return x


def raised(x: np.float32, p: PowerParameter) -> np.float32:
    if p.power * p.scale == 0:
        return np.float32(1 if p.power == 0 else np.float64(p.shift) ** p.power)
    base = affine(x, p)
    return base if p.power == 1 else np.float32(np.float64(base) ** p.power)


def slope(x: np.float32, y: np.float32, p: PowerParameter) -> np.float32:
    factor = np.float32(p.power) * np.float32(p.scale)
    if factor == 0 or p.power == 1:
        return factor
    if p.power == 2:
        result = factor * np.float32(p.scale) * x
        return result if p.shift == 0 else result + factor * np.float32(p.shift)
    if p.shift == 0:
        return y / x * np.float32(p.power)
    return y / affine(x, p) * factor


class TestPower(LayerContract):
    caffe_type = "Power"
    cases = {
        "identity": Case(),
        "identity-special": Case(bottoms=[SPECIAL], gradcheck=False),
        "one-number": Case("power_param { power: 2 }", bottoms=[(1,)]),
        "scale": Case("power_param { scale: -2.3 }"),
        "shift": Case("power_param { shift: 0.7 }"),
        "affine": Case("power_param { scale: 0.017 shift: -0.3 }"),
        "square": Case("power_param { power: 2 }"),
        "square-affine": Case("power_param { power: 2 scale: 0.3 shift: 1.1 }"),
        "square-in-place": Case("power_param { power: 2 scale: 0.3 shift: 1 }", in_place=True),
        "cube": Case("power_param { power: 3 scale: -1 shift: 0.5 }"),
        "cube-at-0": Case("power_param { power: 3 }", bottoms=[np.array([-1.0, 0.0, 2.0])]),
        "cube-in-place": Case("power_param { power: 3 scale: -1 shift: 0.5 }", in_place=True),
        "root": Case("power_param { power: 0.5 shift: 4 }"),
        "root-special": Case("power_param { power: 0.5 }", bottoms=[SPECIAL]),
        "fraction-of-negatives": Case("power_param { power: 0.75 scale: 2 shift: 0.1 }"),
        "inverse": Case("power_param { power: -1 }"),
        "inverse-of-affine": Case("power_param { power: -2 scale: 0.5 shift: 9 }"),
        "power-0": Case("power_param { power: 0 scale: 3 shift: 2 }", bottoms=[SPECIAL]),
        "scale-0": Case("power_param { power: 3 scale: 0 shift: 1.7 }", bottoms=[SPECIAL]),
        "scale-0-root-of-negative": Case("power_param { power: 0.5 scale: 0 shift: -4 }"),
        "scale-0-inverse-of-0": Case("power_param { power: -1 scale: 0 }"),
        "affine-in-place": Case("power_param { scale: 2 shift: 1 }", in_place=True),
        "power-0-in-place": Case("power_param { power: 0 }", in_place=True),
    }
    refusals = {
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        y = np.empty(x.shape, np.float32)
        for index in np.ndindex(x.shape):
            y[index] = raised(np.float32(x[index]), param.power_param)
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        p, (x,), (dy,) = param.power_param, bottoms, top_diffs
        in_place = param.bottom[0] == param.top[0]
        dx = np.empty(x.shape, np.float32)
        for index in np.ndindex(x.shape):
            y = raised(np.float32(x[index]), p)
            if in_place:
                # dx lies over dy: the slope is there before the two are multiplied.
                dx[index] = slope(y, y, p) ** 2
            else:
                dx[index] = slope(np.float32(x[index]), y, p) * dy[index]
        return [dx], []


def test_gradient_of_a_cube_is_no_number_at_0() -> None:
    net = TestPower().build(Case("power_param { power: 3 }", bottoms=[(2,)]))
    x = torch.tensor([0.0, 2.0], requires_grad=True)
    net(x)["t0"].sum().backward()
    assert x.grad is not None
    assert torch.isnan(x.grad[0]) and x.grad[1] == 12


def test_affine_power_is_exact_and_plain_torch() -> None:
    plan = TestPower().build(Case("power_param { scale: 0.5 shift: 1 }")).steps[-1].plan
    assert plan.exactness == bitwise()
    assert plan.call.target == "operator.add"


def test_plain_gives_the_same_bits() -> None:
    case = Case("power_param { power: 2 scale: 0.3 shift: 1.1 }", bottoms=[(1000,)])
    net = TestPower().build(case)
    x = torch.from_numpy(case.arrays()["b0"])
    assert torch.equal(net.steps[-1].plan.plain.build([x]), net(x)["t0"])
