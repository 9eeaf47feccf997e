import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter


def groups(shape: tuple[int, ...], across: bool) -> list[tuple[object, ...]]:
    """One index for each set of elements that is normalised together."""
    legacy = shape + (1,) * (4 - len(shape))
    if across:
        return [(n,) for n in range(legacy[0])]
    return [(n, c) for n in range(legacy[0]) for c in range(legacy[1])]


class TestMVN(LayerContract):
    caffe_type = "MVN"
    cases = {
        "planes": Case(),
        "images": Case("mvn_param { across_channels: true }"),
        "mean-only": Case("mvn_param { normalize_variance: false }"),
        "mean-only-images": Case(
            "mvn_param { normalize_variance: false across_channels: true }", [(2, 3, 2, 2)]
        ),
        "eps": Case("mvn_param { eps: 0.1 }"),
        "eps-images": Case("mvn_param { eps: 0.5 across_channels: true }"),
        "one-image": Case(bottoms=[(1, 1, 3, 5)]),
        "two-axes-images": Case("mvn_param { across_channels: true }", bottoms=[(2, 5)]),
        "three-axes": Case(bottoms=[(2, 3, 7)]),
        "in-place": Case("mvn_param { eps: 0.1 }", in_place=True),
        "in-place-images": Case("mvn_param { across_channels: true }", in_place=True),
        "in-place-mean-only": Case("mvn_param { normalize_variance: false }", in_place=True),
    }
    refusals = {
        "five-axes": (Case(bottoms=[(1, 2, 1, 1, 1)]), "takes bottoms of at most 4 axes"),
        "empty": (Case(bottoms=[(0, 3)]), "its bottom is empty, its shape is (0, 3)"),
        "two-bottoms": (Case(bottoms=[(2, 3), (2, 3)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, (x,) = param.mvn_param, bottoms
        y = x.reshape(x.shape + (1,) * (4 - x.ndim)).copy()
        for group in groups(x.shape, p.across_channels):
            values = list(y[group].flat)
            mean = sum(values) / len(values)
            y[group] -= mean
            if p.normalize_variance:
                variance = sum((value - mean) ** 2 for value in values) / len(values)
                y[group] /= np.sqrt(variance) + p.eps
        return [y]

    @staticmethod
    def reference_backward(
        param: LayerParameter,
        bottoms: list[np.ndarray],
        blobs: list[np.ndarray],
        phase: str,
        top_diffs: list[np.ndarray],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        p, (x,) = param.mvn_param, bottoms
        (y,) = TestMVN.reference(param, bottoms, blobs, phase)
        dx = top_diffs[0].astype(np.float64).reshape(y.shape)
        x = x.reshape(y.shape)
        for group in groups(x.shape, p.across_channels):
            dy, n = dx[group].copy(), dx[group].size
            if not p.normalize_variance:
                dx[group] = dy - sum(dy.flat) / n
                continue
            pull = sum((dy * y[group]).flat) / n * y[group]
            if param.bottom[0] == param.top[0]:
                dx[group] = -2 * pull
            else:
                dx[group] = dy - sum(dy.flat) / n - pull
            dx[group] /= np.sqrt(np.var(x[group])) + p.eps
        return [dx.reshape(bottoms[0].shape)], []


def normalised(case: Case) -> torch.Tensor:
    net = TestMVN().build(case)
    return net(torch.from_numpy(case.arrays()["b0"]))["t0"]


def test_eps_is_added_to_the_deviation() -> None:
    case = Case("mvn_param { eps: 0.1 across_channels: true }", [np.array([[1.0, 2.0, 3.0]])])
    assert normalised(case).flatten().tolist() == pytest.approx([-1.0911106, 0, 1.0911106])


def test_top_has_four_axes_and_planes_of_one_number_are_0() -> None:
    y = normalised(Case(bottoms=[(2, 3)]))
    assert y.shape == (2, 3, 1, 1)
    assert not y.any()
