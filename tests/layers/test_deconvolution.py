import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter
from windows import geometry, taps

Array = np.ndarray


def body(options: str) -> str:
    return f"convolution_param {{ {options} }}"


class TestDeconvolution(LayerContract):
    caffe_type = "Deconvolution"
    cases = {
        "plain": Case(body("num_output: 4 kernel_size: 3"), [(2, 3, 2, 3)]),
        "one-by-one": Case(body("num_output: 4 kernel_size: 1")),
        "stride-pad": Case(body("num_output: 2 kernel_size: 4 stride: 2 pad: 1"), [(2, 3, 3, 2)]),
        "pad-beyond-half": Case(body("num_output: 2 kernel_size: 2 pad: 1"), [(1, 2, 4, 5)]),
        "pad-beyond-kernel": Case(body("num_output: 2 kernel_size: 1 pad: 1"), [(1, 2, 4, 5)]),
        "stride-beyond-kernel": Case(
            body("num_output: 2 kernel_size: 2 stride: 3"), [(1, 2, 2, 3)]
        ),
        "dilation": Case(body("num_output: 2 kernel_size: 2 dilation: 3"), [(1, 2, 3, 2)]),
        "dilation-0": Case(body("num_output: 2 kernel_size: 3 stride: 2 dilation: 0")),
        "group": Case(body("num_output: 6 kernel_size: 2 group: 3"), [(2, 3, 2, 3)]),
        "depthwise": Case(
            body("num_output: 3 kernel_size: 4 stride: 2 pad: 1 group: 3 bias_term: false"),
            [(1, 3, 2, 3)],
        ),
        "kernel-hw": Case(
            body("num_output: 2 kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1")
        ),
        "nd-im2col": Case(body("num_output: 2 kernel_size: 2 force_nd_im2col: true")),
        "one-axis": Case(body("num_output: 2 kernel_size: 3 stride: 2 pad: 1"), [(2, 3, 4)]),
        "three-axes": Case(body("num_output: 2 kernel_size: 2 stride: 2"), [(1, 2, 2, 2, 3)]),
        "no-spatial-axes": Case(body("num_output: 2"), [(4, 3)]),
        "no-spatial-axes-group": Case(body("num_output: 4 group: 2"), [(4, 6)]),
        "axis-0": Case(body("num_output: 2 kernel_size: 2 axis: 0"), [(3, 2, 3)]),
        "axis-2": Case(body("num_output: 2 kernel_size: 2 axis: 2"), [(2, 2, 3, 2, 3)]),
        "two-bottoms": Case(
            body("num_output: 2 kernel_size: 2"), [(1, 2, 3, 2), (1, 2, 3, 2)], tops=2
        ),
        "one-pixel": Case(body("num_output: 1 kernel_size: 1"), [(1, 1, 1, 1)]),
    }
    refusals = {
        "no-num-output": (Case(body("kernel_size: 1")), "num_output must be positive, got 0"),
        "channels": (
            Case(body("num_output: 2 kernel_size: 1 group: 2")),
            "its bottom's 3 channels do not divide by group 2",
        ),
        "pad": (
            Case(body("num_output: 2 kernel_size: 2 pad: 3")),
            "its pad of 3 at both ends removes all of the 5 pixels that it makes of the bottom's 4",
        ),
        "four-spatial-axes": (
            Case(body("num_output: 2 kernel_size: 1"), [(1, 1, 1, 1, 1, 1)]),
            "slides over 4 axes; torch computes at most 3 of them",
        ),
        "cudnn": (
            Case(body("num_output: 2 kernel_size: 1 engine: CUDNN")),
            "engine: CUDNN is not in a Caffe built for the CPU",
        ),
        "in-place": (
            Case('top: "b0" ' + body("num_output: 3 kernel_size: 1"), tops=0),
            "overwrites its own input",
        ),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        p = param.convolution_param
        tops = []
        for x in bottoms:
            axis = p.axis + x.ndim if p.axis < 0 else p.axis
            shape = x.shape[axis + 1 :]
            spans = geometry(param, len(shape))
            sizes = tuple(
                s * (size - 1) + d * (k - 1) + 1 - 2 * pad
                for size, (k, s, pad, d) in zip(shape, spans, strict=True)
            )
            y = np.zeros((*x.shape[:axis], p.num_output, *sizes))
            ins, outs = x.shape[axis] // p.group, p.num_output // p.group
            for place, tap, there in taps(spans, shape, sizes):
                for image in np.ndindex(x.shape[:axis]):
                    for channel in range(x.shape[axis]):
                        value = x[(*image, channel, *place)]
                        for out in range(outs):
                            at = (*image, channel // ins * outs + out, *there)
                            y[at] += blobs[0][(channel, out, *tap)] * value
            for out in range(p.num_output if p.bias_term else 0):
                y[(slice(None),) * axis + (out,)] += blobs[1][out]
            tops.append(y)
        return tops


def test_bilinear_upsampling_has_borders_of_zeros() -> None:
    options = 'num_output: 1 kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "bilinear" }'
    net = CaffeNet(Case(body(options), [(1, 1, 3, 3)]).net("Deconvolution"), "TEST", seed=1)
    y = net(torch.arange(9.0).view(1, 1, 3, 3))["t0"]
    assert y[0, 0, 0].tolist() == [0, 0.1875, 0.5625, 0.9375, 1.3125, 1.125]


@pytest.mark.parametrize(("axes", "name"), [(1, "1d"), (2, "2d"), (3, "3d")])
def test_runs_torchs_own_module_where_it_can(axes: int, name: str) -> None:
    case = Case(body("num_output: 2 kernel_size: 2"), [(1, 3, *(4,) * axes)])
    net = CaffeNet(case.net("Deconvolution"), "TEST")
    assert net.steps[-1].plan.call.target == f"torch.nn.ConvTranspose{name}"


def test_counts_multiply_adds() -> None:
    case = Case(body("num_output: 6 kernel_size: 2 group: 3"), [(2, 3, 4, 5)])
    net = CaffeNet(case.net("Deconvolution"), "TEST")
    assert net.steps[-1].plan.multiply_adds == (2 * 3 * 4 * 5) * 2 * (2 * 2)
