import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter


class TestDropout(LayerContract):
    caffe_type = "Dropout"
    cases = {
        "test": Case(),
        "test-in-place": Case("dropout_param { dropout_ratio: 0.7 }", in_place=True),
        "train": Case(phase="TRAIN"),
        "train-in-place": Case(phase="TRAIN", in_place=True),
        "train-one-axis": Case("dropout_param { dropout_ratio: 0.3 }", [(50,)], phase="TRAIN"),
        "train-five-axes": Case(
            "dropout_param { dropout_ratio: 0.9 }", [(2, 1, 3, 2, 5)], phase="TRAIN"
        ),
        "train-keeps-all": Case("dropout_param { dropout_ratio: 0 }", phase="TRAIN"),
        "train-keeps-none": Case(
            "dropout_param { dropout_ratio: 1 }", phase="TRAIN", gradcheck=False
        ),
        "train-not-finite": Case(
            bottoms=[np.array([np.nan, np.inf, -np.inf] * 5)], phase="TRAIN", gradcheck=False
        ),
    }
    refusals = {
        "above-1": (
            Case("dropout_param { dropout_ratio: 1.5 }", phase="TRAIN"),
            "dropout_ratio is a probability, between 0 and 1, got 1.5",
        ),
        "negative": (Case("dropout_param { dropout_ratio: -0.5 }"), "between 0 and 1, got -0.5"),
        "two-bottoms": (Case(bottoms=[(2,), (2,)]), "takes 1 bottom, got 2"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,) = bottoms
        if phase == "TEST":
            return [x]
        ratio = np.float64(np.float32(param.dropout_param.dropout_ratio))
        scale = np.float32(1 / (1 - ratio))
        words = np.random.RandomState(1701).randint(0, 2**32, x.size, np.uint32)
        y = np.empty_like(x)
        for index, word in zip(np.ndindex(x.shape), words, strict=True):
            kept = ratio < 1 and float(word) <= (1 - ratio) * 4294967295.0
            y[index] = x[index] * np.float32(kept) * scale
        return [y]


def test_net_draws_its_masks_from_one_stream() -> None:
    case = Case(bottoms=[(64,)], phase="TRAIN")
    net = CaffeNet(case.net("Dropout"), "TRAIN", seed=1)
    first = net(torch.ones(64))["t0"]
    second = net(torch.ones(64))["t0"]
    assert (first[:10] / 2).tolist() == [1, 0, 0, 0, 1, 1, 1, 0, 1, 1]
    assert not torch.equal(first, second)
    net.seed(1)
    assert torch.equal(net(torch.ones(64))["t0"], first)


def test_torchs_generator_draws_the_masks_of_plain_dropout() -> None:
    case = Case("dropout_param { dropout_ratio: 0.25 }", [(1000,)], phase="TRAIN")
    net = CaffeNet(case.net("Dropout"), "TRAIN", rng="torch")
    plain = net.steps[-1].plan.plain.build()
    torch.manual_seed(3)
    ours = net(torch.ones(1000))["t0"]
    torch.manual_seed(3)
    assert torch.equal(ours, plain(torch.ones(1000)))


@pytest.mark.parametrize(("ratio", "draws"), [(0, 1), (0.5, 1), (1, 0)])
def test_draws_one_word_an_element_unless_none_is_kept(ratio: float, draws: int) -> None:
    case = Case(f"dropout_param {{ dropout_ratio: {ratio} }}", [(7,)], phase="TRAIN")
    net = CaffeNet(case.net("Dropout"), "TRAIN", seed=1)
    net(torch.ones(7))
    words = np.random.RandomState(1).randint(0, 2**32, 8, np.uint32)
    assert net.stream.word() == words[7 * draws]


def test_in_test_the_top_is_the_bottom() -> None:
    net = CaffeNet(Case().net("Dropout"), "TEST")
    x = torch.randn(2, 3, 4, 5)
    assert net(x)["t0"] is x
