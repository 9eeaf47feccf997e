import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.layers.lrn import running_sums
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter

Array = np.ndarray


def body(options: str) -> str:
    return f"lrn_param {{ {options} }}"


def within(options: str) -> str:
    return body(f"norm_region: WITHIN_CHANNEL {options}")


REFUSALS = {
    "even": (Case(body("local_size: 4")), "local_size must be odd, got 4"),
    "zero": (Case(body("local_size: 0")), "local_size must be odd, got 0"),
    "three-axes": (Case(bottoms=[(3, 4, 5)]), "takes a bottom of 4 axes"),
    "five-axes": (Case(bottoms=[(1, 1, 3, 4, 5)]), "takes a bottom of 4 axes"),
    "cudnn": (Case(body("engine: CUDNN")), "engine: CUDNN is not in a Caffe built for the CPU"),
    "in-place": (Case('top: "b0"', tops=0), "overwrites its own input"),
    "two-bottoms": (Case(bottoms=[(1, 1, 1, 1)] * 2), "takes 1 bottom, got 2"),
}


class TestAcrossChannels(LayerContract):
    caffe_type = "LRN"
    cases = {
        "defaults": Case(bottoms=[(2, 7, 3, 2)]),
        "alexnet": Case(
            body("local_size: 5 alpha: 0.0001 beta: 0.75"),
            [np.abs(np.random.default_rng(3).normal(0, 100, (1, 24, 2, 3)))],
            gradcheck=False,
        ),
        "one-channel": Case(bottoms=[(1, 1, 4, 5)]),
        "window-beyond-channels": Case(body("local_size: 9"), [(2, 3, 2, 2)]),
        "size-1": Case(body("local_size: 1 alpha: 0.5")),
        "size-3-k-2": Case(body("local_size: 3 k: 2 alpha: 0.3 beta: 0.6")),
        "alpha-0": Case(body("alpha: 0 k: 3")),
        "beta-0": Case(body("beta: 0")),
        "beta-1": Case(body("beta: 1")),
        "negative-beta": Case(body("beta: -2 alpha: 0.1")),
        "negative-scale": Case(body("alpha: -1 k: 0.1"), [(1, 4, 2, 2)], gradcheck=False),
        "zeros": Case(bottoms=[np.zeros((1, 3, 2, 2))]),
        "zeros-k-0": Case(body("k: 0"), [np.zeros((1, 3, 2, 2))], gradcheck=False),
        "engine": Case(body("engine: CAFFE")),
        "many-channels": Case(bottoms=[(1, 96, 2, 1)]),
    }
    refusals = REFUSALS

    @staticmethod
    def scales(param: LayerParameter, x: Array) -> Array:
        p = param.lrn_param
        half = p.local_size // 2
        scale = np.full_like(x, p.k)
        for n, c, h, w in np.ndindex(x.shape):
            for other in range(max(0, c - half), min(x.shape[1], c + half + 1)):
                scale[n, c, h, w] += p.alpha / p.local_size * x[n, other, h, w] ** 2
        return scale

    @classmethod
    def reference(
        cls, param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        return [bottoms[0] * cls.scales(param, bottoms[0]) ** -param.lrn_param.beta]

    @classmethod
    def reference_backward(
        cls,
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array], list[Array]]:
        p = param.lrn_param
        half = p.local_size // 2
        (x,), dy = bottoms, top_diffs[0].astype(np.float64)
        scale = cls.scales(param, x)
        dx = dy * scale**-p.beta
        ratio = dy * x * scale ** (-p.beta - 1)
        for n, c, h, w in np.ndindex(x.shape):
            total = sum(
                ratio[n, other, h, w]
                for other in range(max(0, c - half), min(x.shape[1], c + half + 1))
            )
            dx[n, c, h, w] -= 2 * p.alpha * p.beta / p.local_size * x[n, c, h, w] * total
        return [dx], []


class TestWithinChannel(LayerContract):
    caffe_type = "LRN"
    cases = {
        "defaults": Case(within("")),
        "size-3": Case(within("local_size: 3 alpha: 0.3 beta: 0.6"), [(2, 2, 5, 6)]),
        "size-1": Case(within("local_size: 1")),
        "no-k": Case(within("k: 5 local_size: 3")),
        "window-beyond-image": Case(within("local_size: 7"), [(1, 2, 2, 3)]),
        "one-pixel": Case(within("local_size: 3"), [(1, 2, 1, 1)]),
        "beta-0": Case(within("beta: 0")),
        "alpha-0": Case(within("alpha: 0")),
        "zeros": Case(within(""), [np.zeros((1, 2, 3, 3))]),
    }
    refusals = {"even": (Case(within("local_size: 2")), "local_size must be odd, got 2")}

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        p = param.lrn_param
        (x,) = bottoms
        half = p.local_size // 2
        y = np.empty_like(x)
        for n, c, h, w in np.ndindex(x.shape):
            total = 0.0
            for i in range(max(0, h - half), min(x.shape[2], h + half + 1)):
                for j in range(max(0, w - half), min(x.shape[3], w + half + 1)):
                    total += x[n, c, i, j] ** 2
            y[n, c, h, w] = x[n, c, h, w] * (1 + p.alpha / p.local_size**2 * total) ** -p.beta
        return [y]


def test_defaults_are_caffes() -> None:
    net = CaffeNet(Case(bottoms=[(1, 3, 1, 1)]).net("LRN"), "TEST")
    y = net(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))["t0"].flatten()
    torch.testing.assert_close(y, torch.tensor([0.36742, 0.73484, 1.10226]), rtol=0, atol=5e-6)


def test_within_channel_takes_1_for_k() -> None:
    case = Case(within("local_size: 3 k: 5"), [(1, 3, 1, 1)])
    y = CaffeNet(case.net("LRN"), "TEST")(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))["t0"]
    torch.testing.assert_close(y[0, 0, 0, 0], torch.tensor(0.92402), rtol=0, atol=5e-6)


@pytest.mark.parametrize("tail_first", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_sums_run_along_the_channels(size: int, tail_first: bool) -> None:
    # Times 0.25 nothing is rounded, so that a fused multiply and add gives the same.
    x = np.random.default_rng(1).normal(0, 1, (2, 12, 3, 2)) * 10.0 ** np.arange(12)[:, None, None]
    x = x[:, ::-1].astype(np.float32)
    terms = np.float32(0.25) * x
    half = size // 2
    padded = np.pad(terms, ((0, 0), (half, half), (0, 0), (0, 0)))
    total = np.full((2, 3, 2), 1, np.float32)
    for c in range(size):
        total = total + padded[:, c]
    expected = [total]
    for c in range(1, 12):
        changes = [padded[:, c + size - 1], -padded[:, c - 1]]
        for change in reversed(changes) if tail_first else changes:
            total = total + change
        expected.append(total)
    y = running_sums(torch.from_numpy(x.copy()), size, 0.25, 1.0, tail_first)
    assert np.array_equal(y.numpy(), np.stack(expected, 1))


def test_nan_goes_on_to_all_later_channels() -> None:
    x = torch.ones(1, 8, 1, 1)
    x[0, 3] = torch.nan
    net = CaffeNet(Case(body("local_size: 3"), [(1, 8, 1, 1)]).net("LRN"), "TEST")
    assert net(x)["t0"].isnan().flatten().tolist() == [False] * 2 + [True] * 6


@pytest.mark.parametrize("name", TestAcrossChannels.cases)
def test_sums_made_for_themselves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As compiled and on other devices: held to the same class."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    contract, case = TestAcrossChannels(), TestAcrossChannels.cases[name]
    contract.test_matches_reference(case)
    contract.test_gradient(case)


def test_saves_no_more_than_its_input_scale_and_answer() -> None:
    case = Case(bottoms=[(1, 8, 3, 3)])
    net = CaffeNet(case.net("LRN"), "TEST")
    saved: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        net(torch.ones(1, 8, 3, 3, requires_grad=True))
    assert len(saved) == 3
