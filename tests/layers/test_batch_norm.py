import numpy as np
import pytest
import torch

import torchcaffe
from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


class TestBatchNorm(LayerContract):
    caffe_type = "BatchNorm"
    cases = {
        "stored": Case(),
        "stored-2-axes": Case(bottoms=[(5, 3)]),
        "stored-3-axes": Case(bottoms=[(2, 3, 4)]),
        "stored-5-axes": Case(bottoms=[(2, 3, 2, 3, 2)]),
        "stored-1-channel": Case(bottoms=[(3, 1, 4, 4)]),
        "stored-1-image": Case(bottoms=[(1, 3, 4, 5)]),
        "stored-eps": Case("batch_norm_param { eps: 0.01 }"),
        "stored-eps-0": Case("batch_norm_param { eps: 0 }"),
        "stored-in-train": Case("batch_norm_param { use_global_stats: true }", phase="TRAIN"),
        "batch": Case(phase="TRAIN"),
        "batch-in-test": Case("batch_norm_param { use_global_stats: false }"),
        "batch-2-axes": Case(bottoms=[(5, 3)], phase="TRAIN"),
        "batch-6-axes": Case(bottoms=[(2, 3, 2, 1, 2, 2)], phase="TRAIN"),
        "batch-1-channel": Case(bottoms=[(3, 1, 4, 4)], phase="TRAIN"),
        "batch-options": Case(
            "batch_norm_param { moving_average_fraction: 0.5 eps: 0.25 }", phase="TRAIN"
        ),
        "batch-eps-0": Case("batch_norm_param { eps: 0 }", phase="TRAIN"),
        "one-value-a-channel": Case(bottoms=[(1, 4)], phase="TRAIN"),
        "far-from-zero": Case(
            bottoms=[100 + np.arange(24.0).reshape(2, 3, 4) % 7], phase="TRAIN", gradcheck=False
        ),
        "params-at-rate-0": Case("param { lr_mult: 0 } param { lr_mult: 0 }"),
    }
    refusals = {
        "one-axis": (Case(bottoms=[(7,)]), "takes a bottom with a channel axis, (N, C, ...)"),
        "empty": (Case(bottoms=[(0, 3)]), "its bottom is empty, its shape is (0, 3)"),
        "learning-rate": (
            Case("param { lr_mult: 0 } param { decay_mult: 0 }"),
            "param 1 has lr_mult 1, give lr_mult: 0 or leave the param entries out",
        ),
        "four-params": (
            Case("param { lr_mult: 0 } " * 4),
            "has 4 param entries for 3 parameter blobs",
        ),
        "two-bottoms": (Case(bottoms=[(2, 3), (2, 3)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p = param.batch_norm_param
        stored = p.use_global_stats if p.has("use_global_stats") else phase == "TEST"
        (x,) = bottoms
        y = np.empty_like(x)
        for c in range(x.shape[1]):
            channel = [x[index] for index in np.ndindex(x.shape) if index[1] == c]
            if stored:
                mean, variance = blobs[0][c] / blobs[2][0], blobs[1][c] / blobs[2][0]
            else:
                mean = sum(channel) / len(channel)
                variance = sum((value - mean) ** 2 for value in channel) / len(channel)
            for index in np.ndindex(x.shape):
                if index[1] == c:
                    y[index] = (x[index] - mean) / np.sqrt(variance + p.eps)
        return [y]


def statistics(case: Case, batches: list[list[float]]) -> tuple[CaffeNet, list[list[float]]]:
    net = CaffeNet(case.net("BatchNorm"), case.phase)
    seen = []
    for batch in batches:
        net(torch.tensor(batch).reshape(-1, 1))
        seen.append([float(blob) for blob in net.params["layer"]])
    return net, seen


def test_statistics_are_sums_of_what_is_left_of_older_batches() -> None:
    case = Case("batch_norm_param { moving_average_fraction: 0.9 }", [(2, 1)], phase="TRAIN")
    net, seen = statistics(case, [[0, 2], [4, 6], [10, 20]])
    expected = [[1, 2, 1], [5.9, 3.8, 1.9], [20.31, 53.42, 2.71]]
    np.testing.assert_allclose(seen, expected, rtol=1e-6)

    test = CaffeNet(case.net("BatchNorm"), "TEST")
    test.load_state_dict(net.state_dict())
    mean, variance = 20.31 / 2.71, 53.42 / 2.71
    y = test(torch.tensor([[10.0], [20.0]]))["t0"].flatten()
    expected = (np.array([10, 20]) - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


def test_one_value_a_channel_counts_as_variance_0() -> None:
    net, seen = statistics(Case(bottoms=[(1, 1)], phase="TRAIN"), [[3.0]])
    assert seen == [[3, 0, 1]]
    assert net(torch.tensor([[5.0]]))["t0"].tolist() == [[0]]


def test_untrained_statistics_count_as_0() -> None:
    net, _ = statistics(Case(bottoms=[(2, 1)]), [])
    assert not any(float(blob) for blob in net.params["layer"])
    y = net(torch.tensor([[1.0], [2.0]]))["t0"].flatten()
    np.testing.assert_allclose(y.numpy(), [316.22778, 632.45557], rtol=1e-6)


def test_stored_statistics_stay() -> None:
    case = Case("batch_norm_param { use_global_stats: true }", [(2, 1)], phase="TRAIN")
    _, seen = statistics(case, [[0, 2]])
    assert seen == [[0, 0, 0]]


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)])
def test_plain_gives_the_same_bits(shape: tuple[int, ...]) -> None:
    case = Case("batch_norm_param { eps: 0.01 }", bottoms=[shape])
    net = TestBatchNorm().build(case)
    plan = net.steps[-1].plan
    assert plan.plain is not None and plan.plain_state is not None
    module = plan.plain.build().eval()
    module.load_state_dict(plan.plain_state(net.params["layer"]))
    x = torch.from_numpy(case.arrays()["b0"])
    assert torch.equal(module(x), net(x)["t0"])


def test_net_that_trains_it_learns_nothing_in_it() -> None:
    text = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 } } }'
        'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" }'
    )
    net = CaffeNet(torchcaffe.proto.parse_text(text, torchcaffe.proto.schema.NetParameter), "TRAIN")
    assert not list(net.parameters())
    assert [blob.lr_mult for blob in net.learnable] == [0, 0, 0]
