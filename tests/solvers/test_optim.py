"""Update rules: each formula in float64 loops, what is done around it, and torch's manners."""

import copy
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchcaffe
from assertions import assert_parity
from torchcaffe import optim
from torchcaffe.errors import SolverError
from torchcaffe.layers._exactness import bitwise, ulp
from torchcaffe.net import CaffeNet
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import NetParameter
from torchcaffe.solvers import _base
from torchcaffe.solvers._roots import roots

State = dict[str, float]


def sgd(g: float, rate: float, s: State, p: dict[str, float], t: int) -> float:
    s["h"] = p["momentum"] * s.get("h", 0) + rate * g
    return s["h"]


def nesterov(g: float, rate: float, s: State, p: dict[str, float], t: int) -> float:
    old = s.get("h", 0)
    s["h"] = p["momentum"] * old + rate * g
    return (1 + p["momentum"]) * s["h"] - p["momentum"] * old


def adagrad(g: float, rate: float, s: State, p: dict[str, float], t: int) -> float:
    s["h"] = s.get("h", 0) + g**2
    return rate * g / (sqrt(s["h"]) + p["delta"])


def rmsprop(g: float, rate: float, s: State, p: dict[str, float], t: int) -> float:
    s["h"] = p["rms_decay"] * s.get("h", 0) + (1 - p["rms_decay"]) * g**2
    return rate * g / (sqrt(s["h"]) + p["delta"])


def adadelta(g: float, rate: float, s: State, p: dict[str, float], t: int) -> float:
    rho = p["momentum"]
    s["g"] = rho * s.get("g", 0) + (1 - rho) * g**2
    u = g * sqrt((p["delta"] + s.get("u", 0)) / (p["delta"] + s["g"]))
    s["u"] = rho * s.get("u", 0) + (1 - rho) * u**2
    return rate * u


def adam(g: float, rate: float, s: State, p: dict[str, float], t: int) -> float:
    b1, b2 = p["momentum"], p["momentum2"]
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    correction = np.float32(sqrt(1 - b2**t) / (1 - b1**t))
    return float(np.float32(rate) * correction) * s["m"] / (sqrt(s["v"]) + p["delta"])


# Settings are numbers that float32 holds, so that the loops above know them as well.
RULES: dict[str, tuple[type[optim.CaffeOptimizer], Callable[..., float], dict[str, float]]] = {
    "plain": (optim.SGD, sgd, {"momentum": 0.0}),
    "sgd": (optim.SGD, sgd, {"momentum": 0.875}),
    "nesterov": (optim.Nesterov, nesterov, {"momentum": 0.875}),
    "adagrad": (optim.AdaGrad, adagrad, {"delta": 2**-20}),
    "rmsprop": (optim.RMSProp, rmsprop, {"rms_decay": 0.9375, "delta": 2**-20}),
    "adadelta": (optim.AdaDelta, adadelta, {"momentum": 0.9375, "delta": 2**-20}),
    "adam": (optim.Adam, adam, {"momentum": 0.875, "momentum2": 0.9375, "delta": 2**-20}),
}

RATES = (0.5, 0.25, 0.125, 0.125)
SHAPES = ((3, 5), (7,), ())


def tensors(seed: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in SHAPES]


def trained(optimizer: optim.CaffeOptimizer, weights: list[torch.Tensor]) -> None:
    for step, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for weight, grad in zip(weights, tensors(step), strict=True):
            weight.grad = grad.to(weight.dtype)
        optimizer.step()


def reference(
    rule: Callable[..., float],
    settings: dict[str, float],
    *,
    clip: float = -1,
    iter_size: int = 1,
    decays: tuple[float, ...] = (0, 0, 0),
    penalty: Callable[[float], float] = lambda w: w,
    lr_mults: tuple[float, ...] = (1, 1, 1),
) -> list[np.ndarray]:
    """The weights after RATES, element by element."""
    weights = [w.numpy().copy() for w in tensors(1701)]
    states: list[dict[tuple[int, ...], State]] = [{} for _ in weights]
    for step, rate in enumerate(RATES):
        grads = [g.numpy() for g in tensors(step)]
        norm = sqrt(sum(float(g) ** 2 for grad in grads for g in grad.reshape(-1)))
        scale = clip / norm if clip >= 0 and norm > clip else 1.0
        for w, grad, state, decay, lr_mult in zip(
            weights, grads, states, decays, lr_mults, strict=True
        ):
            for index in np.ndindex(w.shape):
                g = grad[index] * scale / iter_size + decay * penalty(w[index])
                s = state.setdefault(index, {})
                w[index] -= rule(g, rate * lr_mult, s, settings, step + 1)
    return weights


def assert_same(ours: list[torch.Tensor], theirs: list[np.ndarray]) -> None:
    """Equal up to the one rounding with which two float64 computations become float32."""
    names = [str(index) for index in range(len(theirs))]
    mine = [value.detach().numpy().astype(np.float32) for value in ours]
    wanted = [value.astype(np.float32) for value in theirs]
    assert_parity(
        dict(zip(names, mine, strict=True)),
        dict(zip(names, wanted, strict=True)),
        dict.fromkeys(names, ulp(1)),
    )


@pytest.mark.parametrize("name", RULES)
class TestRules:
    def test_the_formula(self, name: str) -> None:
        rule, formula, settings = RULES[name]
        weights = tensors(1701)
        trained(rule(weights, lr=1, **settings), weights)
        assert_same(weights, reference(formula, settings))

    def test_clip_then_average_then_decay(self, name: str) -> None:
        rule, formula, settings = RULES[name]
        weights = tensors(1701)
        groups = [
            {"params": [weights[0]], "decay_mult": 2, "lr_mult": 0.5},
            {"params": [weights[1]], "decay_mult": 0},
            {"params": [weights[2]], "lr_mult": 0},
        ]
        around = {"clip_gradients": 2.0, "iter_size": 4, "weight_decay": 0.25}
        trained(rule(groups, lr=1, **settings, **around), weights)
        wanted = reference(
            formula,
            settings,
            clip=2,
            iter_size=4,
            decays=(0.5, 0, 0.25),
            lr_mults=(0.5, 1, 0),
        )
        assert_same(weights, wanted)
        assert torch.equal(weights[2], tensors(1701)[2])

    def test_l1(self, name: str) -> None:
        rule, formula, settings = RULES[name]
        weights = tensors(1701)
        around: dict[str, Any] = {"weight_decay": 0.25, "regularization_type": "L1"}
        trained(rule(weights, lr=1, **settings, **around), weights)
        wanted = reference(
            formula, settings, decays=(0.25, 0.25, 0.25), penalty=lambda w: float(np.sign(w))
        )
        assert_same(weights, wanted)

    def test_pieces_change_no_bit(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        rule, _, settings = RULES[name]
        whole = [w.float() for w in tensors(1701)]
        cut = copy.deepcopy(whole)
        trained(rule(whole, lr=1, **settings, weight_decay=0.25), whole)
        monkeypatch.setattr(_base, "PIECE", 4)
        trained(rule(cut, lr=1, **settings, weight_decay=0.25), cut)
        assert all(torch.equal(a, b) for a, b in zip(whole, cut, strict=True))

    def test_gradients_are_left_alone(self, name: str) -> None:
        rule, _, settings = RULES[name]
        weights = tensors(1701)
        around = {"weight_decay": 0.25, "clip_gradients": 0.5, "iter_size": 2}
        trained(rule(weights, lr=1, **settings, **around), weights)
        last = tensors(len(RATES) - 1)
        assert all(torch.equal(w.grad, g) for w, g in zip(weights, last, strict=True))

    def test_no_gradient_is_a_gradient_of_0(self, name: str) -> None:
        rule, _, settings = RULES[name]
        with_zeros, without = tensors(1701), tensors(1701)
        for weights in (with_zeros, without):
            optimizer = rule(weights, lr=1, **settings, weight_decay=0.25)
            trained(optimizer, weights)
            for weight in weights:
                weight.grad = torch.zeros_like(weight) if weights is with_zeros else None
            optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(with_zeros, without, strict=True))

    def test_its_state_dict_continues(self, name: str) -> None:
        rule, _, settings = RULES[name]
        weights = tensors(1701)
        optimizer = rule(weights, lr=1, **settings)
        trained(optimizer, weights)
        twins = [w.clone() for w in weights]
        twin = rule(twins, lr=1, **settings)
        twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        trained(optimizer, weights)
        trained(twin, twins)
        assert all(torch.equal(a, b) for a, b in zip(weights, twins, strict=True))
        assert twin.param_groups[0]["iter"] == 2 * len(RATES)

    def test_a_layout_of_its_own(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        rule, _, settings = RULES[name]
        monkeypatch.setattr(_base, "PIECE", 4)
        plain = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
        last = plain.clone(memory_format=torch.channels_last)
        for weight in (plain, last):
            weight.grad = torch.ones_like(weight)
            rule([weight], lr=0.5, **settings).step()
        assert torch.equal(plain, last)


def test_a_closure_recomputes_the_loss() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = optim.SGD([weight], lr=0.25)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4
    assert weight.item() == 1


def test_real_caffe_s_clipping_vector() -> None:
    # g = (3, 4), clip 1, iter_size 4: the step is (0.15, 0.2) * lr, as real Caffe's was.
    weight = torch.zeros(2)
    weight.grad = torch.tensor([3.0, 4.0])
    optimizer = optim.SGD([weight], lr=1, clip_gradients=1, iter_size=4)
    optimizer.step()
    np.testing.assert_array_max_ulp(weight.numpy(), np.float32([-0.15, -0.2]), maxulp=1)
    assert optimizer.clipped is not None
    assert (optimizer.clipped.norm, optimizer.clipped.threshold) == (5, 1)
    assert optimizer.clipped.scale == np.float32(0.2)


@pytest.mark.parametrize(("threshold", "wanted"), [(0, [0, 0]), (5, [-3, -4]), (-1, [-3, -4])])
def test_thresholds(threshold: float, wanted: list[float]) -> None:
    weight = torch.zeros(2)
    weight.grad = torch.tensor([3.0, 4.0])
    optimizer = optim.SGD([weight], lr=1, clip_gradients=threshold)
    optimizer.step()
    assert weight.tolist() == wanted
    assert (optimizer.clipped is None) == (threshold != 0)


def test_without_momentum_no_history_is_kept() -> None:
    weights = tensors(1701)
    optimizer = optim.SGD(weights, lr=1)
    trained(optimizer, weights)
    assert not optimizer.state
    kept = tensors(1701)
    optimizer = optim.SGD(kept, lr=1)
    history = optimizer.history(kept)
    trained(optimizer, kept)
    assert all(torch.equal(a, b) for a, b in zip(weights, kept, strict=True))
    for value, grad in zip(history, tensors(len(RATES) - 1), strict=True):
        assert torch.equal(value, grad * RATES[-1])


def test_history_is_in_caffe_s_order() -> None:
    weights = tensors(1701)
    optimizer = optim.Adam(weights, lr=1)
    trained(optimizer, weights)
    history = optimizer.history(weights)
    names = ("first_moment", "second_moment")
    wanted = [optimizer.state[weight][name] for name in names for weight in weights]
    assert [id(value) for value in history] == [id(value) for value in wanted]


# With a constant rate, momentum in torch's form is the same; these pairs differ by rounding alone.
TWINS: dict[str, tuple[type[optim.CaffeOptimizer], dict[str, float], type, dict[str, Any]]] = {
    "sgd": (optim.SGD, {"momentum": 0.875}, torch.optim.SGD, {"momentum": 0.875}),
    "nesterov": (
        optim.Nesterov,
        {"momentum": 0.875},
        torch.optim.SGD,
        {"momentum": 0.875, "nesterov": True},
    ),
    "adagrad": (optim.AdaGrad, {"delta": 2**-20}, torch.optim.Adagrad, {"eps": 2**-20}),
    "rmsprop": (
        optim.RMSProp,
        {"rms_decay": 0.9375, "delta": 2**-20},
        torch.optim.RMSprop,
        {"alpha": 0.9375, "eps": 2**-20},
    ),
    "adadelta": (
        optim.AdaDelta,
        {"momentum": 0.9375, "delta": 2**-20},
        torch.optim.Adadelta,
        {"rho": 0.9375, "eps": 2**-20},
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_where_torch_agrees(name: str) -> None:
    rule, settings, twin, twin_settings = TWINS[name]
    weights, twins = tensors(1701), tensors(1701)
    mine = rule(weights, lr=0.25, weight_decay=0.25, **settings)
    other = twin(twins, lr=0.25, weight_decay=0.25, **twin_settings)
    for step in range(4):
        for optimizer, mover in ((mine, weights), (other, twins)):
            for weight, grad in zip(mover, tensors(step), strict=True):
                weight.grad = grad
            optimizer.step()
    assert_same(weights, [value.numpy() for value in twins])


NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
        param { name: "w" lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "a" top: "bn" }
layer { name: "b" type: "InnerProduct" bottom: "bn" top: "b" param { name: "w" }
        inner_product_param { num_output: 3 bias_term: false } }
layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "data" top: "loss" }
"""


@pytest.fixture
def net() -> CaffeNet:
    return torchcaffe.load(parse_text(NET, NetParameter, "net"), phase="TRAIN", seed=1)


def test_param_groups(net: CaffeNet) -> None:
    groups = optim.param_groups(net)
    found = [(group["name"], group["lr_mult"], group["decay_mult"]) for group in groups]
    assert found == [
        ("a/0", 1, 1),
        ("a/1", 2, 0),
        ("bn/0", 0, 1),
        ("bn/1", 0, 1),
        ("bn/2", 0, 1),
    ]
    assert groups[0]["params"][0] is net.params["b"][0]


def test_statistics_stay_as_they_are(net: CaffeNet) -> None:
    optimizer = optim.AdaGrad(optim.param_groups(net), lr=0.5, weight_decay=0.5)
    net.run({"data": torch.ones(2, 3)}).loss.backward()
    before = [value.clone() for value in net.params["bn"]]
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, net.params["bn"], strict=True))
    # Their decay is in the history, though, as in Caffe's solverstate.
    assert_parity(
        {"h": optimizer.state[net.params["bn"][2]]["history"].numpy()},
        {"h": (0.5 * before[2]).square().numpy()},
        {"h": bitwise()},
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda w: optim.SGD([w], 1, iter_size=0), "iter_size is how many .* at least 1: 0"),
        (
            lambda w: optim.SGD([w], 1, regularization_type="L3"),
            'regularization_type takes "L2" or "L1", got "L3"',
        ),
        (
            lambda w: optim.RMSProp([w], 1, rms_decay=1),
            "rms_decay lies from 0 to below 1, got 1",
        ),
    ],
)
def test_refusals(make: Callable[[torch.Tensor], object], words: str) -> None:
    with pytest.raises(SolverError, match=words):
        make(torch.zeros(1))


def test_sparse_gradients_are_refused() -> None:
    embedding = nn.Embedding(3, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(SolverError, match="take dense gradients, got a sparse one; make the emb"):
        optim.SGD(embedding.parameters(), lr=1).step()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_roots_are_rounded_right(dtype: torch.dtype) -> None:
    values = torch.linspace(0, 3, 1001, dtype=dtype)
    (found,) = roots([values])
    exact = torch.tensor([sqrt(value) for value in values.tolist()], dtype=torch.float64)
    assert found.dtype == dtype
    assert torch.equal(found, exact.to(dtype))
