from typing import Any

import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter
from torchcaffe.random import Mersenne

Array = np.ndarray
INF, NAN = np.inf, np.nan
LOWEST = np.finfo(np.float32).min
TIES = np.tile(np.array([[1.0, 2.0, 2.0], [2.0, 1.0, 2.0]]), (1, 2, 3, 2))
ODD = np.array([[[[NAN, -INF, 3.0, INF], [NAN, -INF, 1.0, LOWEST], [-INF, NAN, LOWEST, 2.0]]]])


def body(options: str) -> str:
    return f"pooling_param {{ {options} }}"


def grid(shape: tuple[int, ...], start: float = 1) -> Array:
    return np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape)


def shapes(options: str) -> dict[str, tuple[str, list[Any]]]:
    """Geometries that every pooling method is tried on, as options and bottoms."""
    listed: dict[str, tuple[str, list[Any]]] = {
        "k2s2": ("kernel_size: 2 stride: 2", [(2, 3, 6, 7)]),
        "k3s2": ("kernel_size: 3 stride: 2", [(1, 2, 6, 6)]),
        "k3s2-odd": ("kernel_size: 3 stride: 2", [(3, 1, 7, 8)]),
        "stride-1": ("kernel_size: 3", [(1, 2, 5, 4)]),
        "floor": ("kernel_size: 3 stride: 2 round_mode: FLOOR", [(1, 2, 6, 8)]),
        "rectangle": ("kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2", [(1, 2, 6, 5)]),
        "kernel-beyond-input": ("kernel_size: 5 stride: 3", [(1, 2, 3, 3)]),
        "stride-beyond-kernel": ("kernel_size: 1 stride: 3", [(1, 2, 5, 5)]),
        "windows-outside": ("kernel_size: 2 stride: 4", [(1, 2, 7, 11)]),
        "stride-beyond-kernel-floor": (
            "kernel_size: 1 stride: 3 round_mode: FLOOR",
            [(1, 2, 5, 6)],
        ),
        "last-row-cropped": ("kernel_size: 1 stride: 4 round_mode: FLOOR", [(1, 1, 7, 8)]),
        "one-pixel": ("kernel_size: 1", [(1, 1, 1, 1)]),
        "global": ("global_pooling: true", [(2, 3, 4, 5)]),
        "ties": ("kernel_size: 3 stride: 2", [TIES]),
    }
    return {name: (f"{options} {text}", bottoms) for name, (text, bottoms) in listed.items()}


PADDED = {
    "pad": ("kernel_size: 3 stride: 2 pad: 1", [(1, 2, 6, 7)]),
    "pad-dropped-window": ("kernel_size: 2 stride: 2 pad: 1", [(1, 2, 4, 5)]),
    "pad-one-axis": ("kernel_size: 3 stride: 2 pad_h: 0 pad_w: 1", [(1, 2, 6, 6)]),
    "pad-beyond-half": ("kernel_size: 3 stride: 2 pad: 2", [(1, 2, 5, 4)]),
    "pad-beyond-half-floor": ("kernel_size: 4 pad: 3 round_mode: FLOOR", [(1, 2, 5, 6)]),
    "pad-beyond-half-one-axis": ("kernel_size: 3 pad_h: 2 pad_w: 0 stride: 3", [(1, 2, 6, 7)]),
    "pad-stride-beyond-kernel": ("kernel_size: 2 stride: 3 pad: 1", [(1, 2, 7, 8)]),
    "kernel-beyond-input-pad": ("kernel_size: 5 pad: 2", [(1, 2, 3, 4)]),
}


def cases(options: str, extra: dict[str, Case], **more: Any) -> dict[str, Case]:
    padded = {name: (f"{options} {text}", shape) for name, (text, shape) in PADDED.items()}
    geometry = shapes(options) if "STOCHASTIC" in options else shapes(options) | padded
    listed = {name: Case(body(text), given, **more) for name, (text, given) in geometry.items()}
    return listed | extra


class PoolingContract(LayerContract):
    caffe_type = "Pooling"

    @classmethod
    def spans(cls, param: LayerParameter, x: Array) -> list[tuple[list[tuple[int, int]], int]]:
        """For each axis the windows as (start, end) in bottom coordinates, uncut, and the pad."""
        p = param.pooling_param
        found = []
        either = p.pad or p.pad_h or p.pad_w
        for axis, letter in ((2, "h"), (3, "w")):
            length = x.shape[axis]
            kernel = getattr(p, f"kernel_{letter}") or p.kernel_size
            kernel = length if p.global_pooling else kernel
            stride = getattr(p, f"stride_{letter}") or p.stride
            pad = getattr(p, f"pad_{letter}") if p.has("pad_h") else p.pad
            rounded = np.floor if p.round_mode == "FLOOR" else np.ceil
            count = int(rounded(np.float32(length + 2 * pad - kernel) / np.float32(stride))) + 1
            if either and (count - 1) * stride >= length + pad:
                count -= 1
            starts = [i * stride - pad for i in range(count)]
            found.append(([(start, start + kernel) for start in starts], pad))
        return found

    @classmethod
    def over_windows(cls, param: LayerParameter, x: Array) -> Any:
        """(top index, plane, pixels of the image in the window in order, window size)."""
        (rows, pad_h), (columns, pad_w) = cls.spans(param, x)
        height, width = x.shape[2:]
        for plane in np.ndindex(x.shape[:2]):
            for i, (top, bottom) in enumerate(rows):
                for j, (left, right) in enumerate(columns):
                    size = (min(bottom, height + pad_h) - top) * (min(right, width + pad_w) - left)
                    pixels = [
                        (h, w)
                        for h in range(max(top, 0), min(bottom, height))
                        for w in range(max(left, 0), min(right, width))
                    ]
                    yield (*plane, i, j), plane, pixels, size

    @classmethod
    def top(cls, param: LayerParameter, x: Array) -> Array:
        (rows, _), (columns, _) = cls.spans(param, x)
        return np.zeros((*x.shape[:2], len(rows), len(columns)), x.dtype)


class TestMaxPooling(PoolingContract):
    cases = cases(
        "pool: MAX",
        {
            "default-method": Case(body("kernel_size: 2 stride: 2")),
            "not-finite": Case(body("kernel_size: 2"), [ODD]),
            "not-finite-pad": Case(body("kernel_size: 2 pad: 1 stride: 2"), [ODD]),
            "not-finite-global": Case(body("global_pooling: true"), [ODD]),
            "all-lowest": Case(body("kernel_size: 2"), [np.full((1, 1, 2, 2), LOWEST)]),
            "engine": Case(body("kernel_size: 2 engine: CAFFE")),
            "mask": Case(body("kernel_size: 3 stride: 2"), [(2, 2, 6, 7)], tops=2),
            "mask-pad": Case(body("kernel_size: 3 stride: 2 pad: 1"), [(1, 2, 6, 7)], tops=2),
            "mask-wide-pad": Case(body("kernel_size: 3 pad: 2"), [(1, 2, 4, 7)], tops=2),
            "mask-outside": Case(body("kernel_size: 2 stride: 4"), [(1, 2, 7, 11)], tops=2),
            "mask-ties": Case(body("kernel_size: 2"), [TIES], tops=2),
            "mask-global": Case(body("global_pooling: true"), [TIES], tops=2),
            "mask-not-finite": Case(body("kernel_size: 2"), [ODD], tops=2),
        },
    )
    refusals = {
        "three-axes": (Case(body("kernel_size: 2"), [(3, 4, 5)]), "takes a bottom of 4 axes"),
        "five-axes": (Case(body("kernel_size: 2"), [(1, 1, 3, 4, 5)]), "takes a bottom of 4 axes"),
        "no-kernel": (Case(""), "has no kernel_size; give kernel_size"),
        "kernel-h": (
            Case(body("kernel_h: 2")),
            "has kernel_h but not both kernel_h and kernel_w",
        ),
        "kernel-twice": (
            Case(body("kernel_size: 2 kernel_h: 2 kernel_w: 2")),
            "has both kernel_size and kernel_h",
        ),
        "kernel-zero": (Case(body("kernel_size: 0")), "kernel sizes must be positive, got (0, 0)"),
        "stride-zero": (Case(body("kernel_size: 2 stride: 0")), "strides must be positive"),
        "stride-w": (
            Case(body("kernel_size: 2 stride_w: 1")),
            "has stride_w but not both stride_h and stride_w",
        ),
        "pad-h": (Case(body("kernel_size: 2 pad_h: 1")), "has pad_h but not both pad_h and pad_w"),
        "pad-twice": (
            Case(body("kernel_size: 3 pad: 1 pad_h: 1 pad_w: 1")),
            "has both pad and pad_h; give one of them",
        ),
        "pad-too-large": (
            Case(body("kernel_size: 2 pad: 2")),
            "pad must be smaller than the kernel, got pad (2, 2) for kernel (2, 2)",
        ),
        "global-kernel": (
            Case(body("global_pooling: true kernel_size: 4")),
            "global_pooling takes no kernel_size",
        ),
        "global-stride": (
            Case(body("global_pooling: true stride: 2")),
            "global_pooling takes no pad and no stride but 1",
        ),
        "kernel-beyond-input": (
            Case(body("kernel_size: 7"), [(1, 1, 4, 5)]),
            "its kernel covers 7 pixels, more than the padded bottom's 4",
        ),
        "cudnn": (Case(body("kernel_size: 2 engine: CUDNN")), "engine: CUDNN is not in a Caffe"),
        "in-place": (
            Case('top: "b0" ' + body("kernel_size: 1"), tops=0),
            "overwrites its own input",
        ),
        "two-bottoms": (
            Case(body("kernel_size: 2"), [(1, 1, 3, 3), (1, 1, 3, 3)]),
            "takes 1 bottom, got 2",
        ),
    }

    @classmethod
    def reference(
        cls, param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        (x,) = bottoms
        y = np.full_like(cls.top(param, x), LOWEST)
        mask = np.full_like(y, -1)
        for index, plane, pixels, _ in cls.over_windows(param, x):
            for h, w in pixels:
                if x[plane][h, w] > y[index]:
                    y[index], mask[index] = x[plane][h, w], h * x.shape[3] + w
        return [y, mask] if len(param.top) == 2 else [y]

    @classmethod
    def reference_backward(
        cls,
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array], list[Array]]:
        (x,) = bottoms
        dx = np.zeros_like(x)
        for index, plane, pixels, _ in cls.over_windows(param, x):
            best, place = LOWEST, None
            for h, w in pixels:
                if x[plane][h, w] > best:
                    best, place = x[plane][h, w], (*plane, h, w)
            if place is not None:
                dx[place] += top_diffs[0][index]
        return [dx], []


class TestAveragePooling(PoolingContract):
    cases = cases(
        "pool: AVE",
        {
            "divisor-zero": Case(body("pool: AVE kernel_size: 1 stride: 8"), [(1, 2, 8, 8)]),
            "not-finite": Case(body("pool: AVE kernel_size: 2"), [ODD]),
            "large-global": Case(body("pool: AVE global_pooling: true"), [(1, 2, 33, 37)]),
        },
    )
    refusals = {
        "mask": (
            Case(body("pool: AVE kernel_size: 2"), tops=2),
            "a second top, the mask, needs pool: MAX, not AVE",
        ),
    }

    @classmethod
    def reference(
        cls, param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        (x,) = bottoms
        y = cls.top(param, x)
        for index, plane, pixels, size in cls.over_windows(param, x):
            for h, w in pixels:
                y[index] += x[plane][h, w]
            y[index] /= np.float32(size)
        return [y]

    @classmethod
    def reference_backward(
        cls,
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array], list[Array]]:
        dx = np.zeros_like(bottoms[0])
        for index, plane, pixels, size in cls.over_windows(param, dx):
            for h, w in pixels:
                dx[plane][h, w] += top_diffs[0][index] / np.float32(size)
        return [dx], []


def positive(case: Case) -> Case:
    arrays = [np.abs(value) for value in case.arrays().values()]
    return Case(case.body, arrays, phase=case.phase)


class TestStochasticPoolingInTest(PoolingContract):
    cases = {name: positive(case) for name, case in cases("pool: STOCHASTIC", {}).items()} | {
        "zeros": Case(
            body("pool: STOCHASTIC kernel_size: 2"), [np.zeros((1, 1, 2, 3))], gradcheck=False
        ),
        "negative-sum": Case(
            body("pool: STOCHASTIC kernel_size: 1"), [np.array([[[[-1.0, 2.0]]]])]
        ),
    }
    refusals = {
        "pad": (
            Case(body("pool: STOCHASTIC kernel_size: 2 pad: 1")),
            "pad is only for MAX and AVE",
        ),
    }

    @classmethod
    def reference(
        cls, param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        (x,) = bottoms
        y = cls.top(param, x)
        for index, plane, pixels, _ in cls.over_windows(param, x):
            total = sum(x[plane][pixel] for pixel in pixels)
            if total > 0:
                y[index] = sum(x[plane][pixel] ** 2 for pixel in pixels) / total
        return [y]


class TestStochasticPoolingInTrain(PoolingContract):
    cases = {
        name: positive(case) for name, case in cases("pool: STOCHASTIC", {}, phase="TRAIN").items()
    } | {
        "mixed-signs": Case(body("pool: STOCHASTIC kernel_size: 3"), phase="TRAIN"),
        "none-found": Case(
            body("pool: STOCHASTIC kernel_size: 2"), [np.full((1, 1, 2, 2), NAN)], phase="TRAIN"
        ),
    }
    refusals = {
        "mask": (
            Case(body("pool: STOCHASTIC kernel_size: 2"), tops=2, phase="TRAIN"),
            "a second top, the mask, needs pool: MAX, not STOCHASTIC",
        ),
    }

    @classmethod
    def drawn(cls, param: LayerParameter, x: Array) -> Any:
        y = cls.top(param, x)
        words = Mersenne(1701).raw(y.size).reshape(y.shape)
        for index, plane, pixels, _ in cls.over_windows(param, x):
            total = running = np.float32(0)
            for pixel in pixels:
                total += x[plane][pixel]
            goal = np.float32((float(words[index]) + 0.5) / 2**32) * total
            for pixel in pixels:
                running += x[plane][pixel]
                if running >= goal:
                    yield index, (*plane, *pixel)
                    break

    @classmethod
    def reference(
        cls, param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        y = cls.top(param, bottoms[0])
        for index, place in cls.drawn(param, bottoms[0]):
            y[index] = bottoms[0][place]
        return [y]

    @classmethod
    def reference_backward(
        cls,
        param: LayerParameter,
        bottoms: list[Array],
        blobs: list[Array],
        phase: str,
        top_diffs: list[Array],
    ) -> tuple[list[Array], list[Array]]:
        dx = np.zeros_like(bottoms[0])
        for index, place in cls.drawn(param, bottoms[0]):
            dx[place] += top_diffs[0][index]
        return [dx], []


def pooled(options: str, x: Array, **more: Any) -> torch.Tensor:
    net = CaffeNet(Case(body(options), [x.shape]).net("Pooling"), "TEST", seed=1, **more)
    return net(x.astype(np.float32))["t0"]


# What real Caffe answered, where torch's default answers otherwise.


def test_rounds_up() -> None:
    y = pooled("kernel_size: 3 stride: 2", grid((1, 1, 6, 6)))
    assert y[0, 0].tolist() == [[15, 17, 18], [27, 29, 30], [33, 35, 36]]


def test_mean_of_a_window_over_the_edge_divides_by_what_is_there() -> None:
    y = pooled("pool: AVE kernel_size: 3 stride: 2", grid((1, 1, 6, 6)))
    assert y[0, 0].tolist() == [[8, 10, 11.5], [20, 22, 23.5], [29, 31, 32.5]]


def test_mean_counts_padding_up_to_its_end() -> None:
    y = pooled("pool: AVE kernel_size: 3 stride: 2 pad: 1", np.ones((1, 1, 4, 4)))
    expected = [[4 / 9, 6 / 9, 3 / 9], [6 / 9, 1, 0.5], [3 / 9, 0.5, 0.25]]
    assert torch.equal(y[0, 0], torch.tensor(expected))


def test_windows_outside_the_image_stay() -> None:
    y = pooled("kernel_size: 1 stride: 3", grid((1, 1, 5, 5)))[0, 0]
    assert y.tolist() == [[1, 4, LOWEST], [16, 19, LOWEST], [LOWEST] * 3]
    y = pooled("pool: AVE kernel_size: 1 stride: 3", grid((1, 1, 5, 5)))[0, 0]
    assert y.tolist() == [[1, 4, 0], [16, 19, 0], [0, 0, 0]]


def test_nan_and_minus_infinity_never_win() -> None:
    y = pooled("kernel_size: 2 stride: 2", np.array([[[[NAN, 1.0, NAN, -INF]] * 2]]))
    assert y.tolist() == [[[[1, LOWEST]]]]


@pytest.mark.parametrize("name", TestMaxPooling.cases)
def test_same_where_the_answer_cannot_be_looked_at(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled and on other devices, max_pool may not branch on what came out."""
    case = TestMaxPooling.cases[name]
    net = CaffeNet(case.net("Pooling"), "TEST")
    answers = []
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda value=compiling: value)
        x = torch.from_numpy(case.arrays()["b0"]).requires_grad_()
        y = net(x)["t0"]
        answers += [y.detach(), *torch.autograd.grad(y.clamp(min=-1e9).sum(), [x])]
    assert torch.equal(answers[0], answers[2])
    assert torch.equal(answers[1], answers[3])


@pytest.mark.parametrize(
    ("contract", "name"),
    [(c, name) for c in (TestMaxPooling, TestAveragePooling) for name in c.cases],
)
def test_plain_torch_gives_the_same_bits(contract: type[PoolingContract], name: str) -> None:
    case = contract.cases[name]
    net = CaffeNet(case.net("Pooling"), "TEST")
    x = torch.from_numpy(case.arrays()["b0"])
    plain = net.steps[-1].plan.plain
    usual = "outside", "beyond", "mask", "global", "zero", "cropped"
    if plain is None:
        assert any(word in name for word in usual) or "global" in case.body
    elif x.isfinite().all():
        assert torch.equal(plain.build()(x), net(x)["t0"])


def test_global_pooling_follows_the_image() -> None:
    for pool in ("MAX", "AVE"):
        net = CaffeNet(Case(body(f"pool: {pool} global_pooling: true")).net("Pooling"), "TEST")
        assert net(torch.ones(1, 3, 9, 8))["t0"].tolist() == [[[[1.0]], [[1.0]], [[1.0]]]]


def test_draws_from_torch_without_a_stream() -> None:
    case = Case(body("pool: STOCHASTIC kernel_size: 2"), phase="TRAIN")
    net = CaffeNet(case.net("Pooling"), "TRAIN", rng="torch")
    y = net(torch.ones(1, 1, 3, 3))["t0"]
    assert y.tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


def test_draws_by_share() -> None:
    net = CaffeNet(
        Case(body("pool: STOCHASTIC kernel_size: 2 stride: 2")).net("Pooling"), "TRAIN", seed=1
    )
    window = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    y = net(window.repeat(1, 1, 100, 100))["t0"]
    counts = [int((y == value).sum()) for value in (0, 1, 2, 5)]
    assert counts[0] == 0
    assert sum(counts) == 10_000
    # Four standard deviations of a binomial count.
    for count, share in zip(counts[1:], (1 / 8, 2 / 8, 5 / 8), strict=True):
        assert abs(count - 10_000 * share) < 4 * (10_000 * share * (1 - share)) ** 0.5
