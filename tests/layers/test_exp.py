import numpy as np
import torch

from contract import Case, LayerContract
from torchcaffe.layers._exactness import bitwise, ulp
from torchcaffe.layers.exp import expf
from torchcaffe.proto.schema import ExpParameter, LayerParameter


def factors(p: ExpParameter) -> tuple[np.float32, np.float32]:
    """What x is multiplied with before exp, and what exp is multiplied with."""
    log_base = np.float32(1) if p.base == -1 else np.float32(np.log(p.base))
    outer = np.exp(p.shift) if p.base == -1 else p.base**p.shift
    return np.float32(log_base * np.float32(p.scale)), np.float32(outer)


class TestExp(LayerContract):
    caffe_type = "Exp"
    cases = {
        "plain": Case(),
        "one-axis": Case(bottoms=[(7,)]),
        "far": Case(bottoms=[np.arange(-110.0, 95.0, 0.37)], gradcheck=False),
        "not-finite": Case(bottoms=[np.array([np.nan, np.inf, -np.inf])], gradcheck=False),
        "scale": Case("exp_param { scale: -1.7 }"),
        "shift": Case("exp_param { shift: 0.3 }"),
        "base": Case("exp_param { base: 2 scale: 0.5 shift: 0.3 }"),
        "base-below-1": Case("exp_param { base: 0.3 }"),
        "base-1": Case("exp_param { base: 1 shift: 3 }"),
        "scale-0": Case("exp_param { scale: 0 shift: 1 }"),
        "in-place": Case("exp_param { scale: 0.5 }", in_place=True),
    }
    refusals = {
        "base-0": (Case("exp_param { base: 0 }"), "base must be positive and finite, or -1 for e"),
        "base-negative": (Case("exp_param { base: -2 }"), "or -1 for e; got -2"),
        "base-infinite": (Case("exp_param { base: inf }"), "or -1 for e; got inf"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        inner, outer = factors(param.exp_param)
        (x,) = bottoms
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            power = np.exp(np.float64(np.float32(x[index]) * inner))
            y[index] = np.float32(power) * outer
        return [y]


def test_class_is_bitwise_unless_shifted() -> None:
    classes = [
        TestExp().build(TestExp.cases[name]).steps[-1].exactness for name in ("plain", "base")
    ]
    assert classes == [bitwise(), ulp(2)]


def test_expf_gives_the_bits_of_the_c_library() -> None:
    """Where expf of glibc 2.36 is not the float nearest to exp(x)."""
    x = torch.tensor([-0.289, -2.216, 1.029, 4.941, 7.265])
    hexes = ["0x1.7f7e88p-1", "0x1.bea55ap-4", "0x1.662d96p+1", "0x1.17d1f8p+7", "0x1.6558acp+10"]
    assert expf(x).tolist() == [float.fromhex(text) for text in hexes]
    assert not torch.isclose(torch.exp(x.double()).float(), expf(x), rtol=0, atol=0).any()


def test_expf_in_float64_is_that_of_torch() -> None:
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    assert torch.equal(expf(x), torch.exp(x))
