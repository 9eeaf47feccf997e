import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import NetWarning
from torchcaffe.net import CaffeNet
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import LayerParameter, NetParameter


class TestFlatten(LayerContract):
    caffe_type = "Flatten"
    cases = {
        "default": Case(),
        "middle": Case("flatten_param { axis: 1 end_axis: 2 }", [(2, 3, 4, 5, 1)]),
        "all": Case("flatten_param { axis: 0 }"),
        "from-the-end": Case("flatten_param { axis: -3 end_axis: -2 }"),
        "one-axis": Case("flatten_param { axis: 0 }", [(5,)]),
        "nothing": Case("flatten_param { axis: 2 end_axis: 2 }"),
    }
    refusals = {
        "order": (
            Case("flatten_param { axis: 3 end_axis: 2 }"),
            "end_axis 2 comes before axis 3",
        ),
        "axis": (Case(bottoms=[(5,)]), "axis 1 is out of range for a bottom with 1 axes 5"),
        "end": (Case("flatten_param { end_axis: 4 }"), "end_axis 4 is out of range"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        (x,), p = bottoms, param.flatten_param
        start = p.axis % x.ndim
        end = p.end_axis % x.ndim
        merged = 1
        for size in x.shape[start : end + 1]:
            merged *= size
        y = np.empty((*x.shape[:start], merged, *x.shape[end + 1 :]), x.dtype)
        for index in np.ndindex(x.shape):
            place = 0
            for axis in range(start, end + 1):
                place = place * x.shape[axis] + index[axis]
            y[(*index[:start], place, *index[end + 1 :])] = x[index]
        return [y]


class TestLostGradient:
    NET = """
        force_backward: true
        layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 6 }} }} }}
        layer {{ name: "keep" type: "Flatten" bottom: "x" top: "k" }}
        layer {{ name: "share" {maker} top: "y" }}
        layer {{ name: "flat" type: "Flatten" bottom: "y" top: "z" }}
    """

    @pytest.mark.parametrize(
        "maker",
        [
            'type: "Reshape" bottom: "k" reshape_param { shape { dim: 0 dim: 2 dim: 3 } }',
            'type: "Concat" bottom: "k"',
            'type: "Slice" bottom: "k"',
        ],
        ids=["Reshape", "Concat", "Slice"],
    )
    def test_does_not_pass_a_layer_that_shares_its_gradient(self, maker: str) -> None:
        """As in Caffe: what Flatten reads has a gradient, what lies below has zeros."""
        with pytest.warns(NetWarning, match='"flat".* its gradient gets lost at .* "share"'):
            net = CaffeNet(parse_text(self.NET.format(maker=maker), NetParameter), "TEST")
        run = net.run({"x": torch.ones(2, 6, requires_grad=True)})
        kept, lost = torch.autograd.grad(run.blobs["z"].sum(), [run.blobs["y"], run.blobs["x"]])
        assert kept.eq(1).all()
        assert lost.eq(0).all()

    def test_leaves_a_parameter_at_zero(self) -> None:
        maker = 'type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }'
        with pytest.warns(NetWarning, match='"flat".* its gradient gets lost at Parameter'):
            net = CaffeNet(parse_text(self.NET.format(maker=maker), NetParameter), "TEST")
        run = net.run({"x": torch.ones(2, 6)})
        (grad,) = torch.autograd.grad(run.blobs["z"].sum(), net.params["share"])
        assert grad.eq(0).all()

    def test_passes_flatten_behind_flatten(self) -> None:
        maker = 'type: "Flatten" bottom: "k"'
        net = CaffeNet(parse_text(self.NET.format(maker=maker), NetParameter), "TEST")
        run = net.run({"x": torch.ones(2, 6, requires_grad=True)})
        (grad,) = torch.autograd.grad(run.blobs["z"].sum(), [run.blobs["x"]])
        assert grad.eq(1).all()
