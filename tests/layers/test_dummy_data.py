import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.fillers import fill
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter
from torchcaffe.random import Mersenne

TWO = "shape { dim: 2 dim: 3 } shape { dim: 4 }"
GAUSSIAN = 'data_filler { type: "gaussian" mean: 1 std: 2 }'
UNIFORM = 'data_filler { type: "uniform" min: -1 max: 1 }'
FIVE = 'data_filler { type: "constant" value: 5 }'


def case(more: str, tops: int = 1) -> Case:
    return Case(f"dummy_data_param {{ {more} }}", [], tops)


class TestDummyData(LayerContract):
    caffe_type = "DummyData"
    cases = {
        "zeros": case("shape { dim: 2 dim: 3 }"),
        "constant": case(f"shape {{ dim: 2 dim: 3 }} {FIVE}", 2),
        "shapes": case(TWO, 2),
        "legacy": case("num: 2 channels: 3 height: 4 width: 5"),
        "legacy-each": case(
            f"num: 2 num: 1 channels: 3 height: 4 height: 2 width: 1 {FIVE} {UNIFORM}", 2
        ),
        "random": case(f"{TWO} {GAUSSIAN}", 2),
        "random-each": case(f"{TWO} {GAUSSIAN} {UNIFORM}", 2),
        "mixed": case(f"{TWO} {FIVE} {UNIFORM}", 2),
        "xavier": case('shape { dim: 2 dim: 3 } data_filler { type: "xavier" }'),
        "bilinear": case('shape { dim: 1 dim: 2 dim: 3 dim: 3 } data_filler { type: "bilinear" }'),
    }
    refusals = {
        "no-shape": (
            case("", 2),
            "has 0 shape for 2 tops; give one for all or one for each",
        ),
        "shapes": (case(TWO, 3), "has 2 shape for 3 tops"),
        "legacy": (
            case("num: 2 channels: 3 height: 4"),
            "has 0 width for 1 tops; give one for all or one for each",
        ),
        "both": (case(f"{TWO} num: 2", 2), "has both shape and num; give shape"),
        "fillers": (
            case(f"{TWO} {FIVE} {FIVE} {FIVE}", 2),
            "has 3 data_filler for 2 tops; give none, one for all or one for each",
        ),
        "filler": (
            case('shape { dim: 2 } data_filler { type: "gausian" }'),
            'there is no filler "gausian"',
        ),
        "filler-option": (
            case('shape { dim: 2 } data_filler { type: "gaussian" std: 0 }'),
            "needs std above 0, got 0",
        ),
        "empty": (case("shape { dim: 0 }"), "every dim must be positive, got (0,)"),
        "a-bottom": (Case("dummy_data_param { shape { dim: 2 } }"), "takes 0 bottoms, got 1"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, stream, tops = param.dummy_data_param, Mersenne(1701), []
        for place in range(len(param.top)):
            if p.shape:
                shape = tuple((p.shape[place] if len(p.shape) > 1 else p.shape[0]).dim)
            else:
                sizes = (p.num, p.channels, p.height, p.width)
                shape = tuple(size[place if len(size) > 1 else 0] for size in sizes)
            if p.data_filler:
                filler = p.data_filler[place if len(p.data_filler) > 1 else 0]
                tops.append(fill(filler, shape, stream))
            else:
                tops.append(np.zeros(shape, np.float32))
        return tops

    def test_random_numbers_are_new_at_each_pass_and_constants_keep_their_edits(self) -> None:
        net = self.build(self.cases["mixed"])
        first = net.run({}).blobs
        first["t0"].fill_(7)
        second = net.run({}).blobs
        assert second["t0"].eq(7).all()
        assert not first["t1"].eq(second["t1"]).any()

    def test_draws_from_torch_if_told_to(self) -> None:
        net = CaffeNet(self.cases["random"].net("DummyData"), "TEST", rng="torch")
        draws = []
        for _ in range(2):
            torch.manual_seed(3)
            draws.append(net.run({}).blobs["t0"])
        assert draws[0].equal(draws[1])
        assert not draws[0].equal(net.run({}).blobs["t0"])

    def test_random_numbers_are_not_exported(self) -> None:
        with pytest.raises(RuntimeError, match="an exported net would give the same ones for ever"):
            torch.export.export(self.build(self.cases["random"]), ())

    @pytest.mark.parametrize("name", ["constant", "random"])
    def test_has_the_type_of_the_net(self, name: str) -> None:
        net = self.build(self.cases[name])
        net.run({})
        assert net.double().run({}).blobs["t0"].dtype == torch.float64
