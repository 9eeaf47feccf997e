import numpy as np
import pytest
import torch

from contract import Case, LayerContract
from torchcaffe.errors import LayerError
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import LayerParameter
from windows import geometry, taps

Array = np.ndarray


def body(options: str) -> str:
    return f"convolution_param {{ {options} }}"


def convolve(param: LayerParameter, x: Array, blobs: list[Array]) -> Array:
    p = param.convolution_param
    axis = p.axis + x.ndim if p.axis < 0 else p.axis
    shape = x.shape[axis + 1 :]
    spans = geometry(param, len(shape))
    # C's division truncates towards zero.
    sizes = tuple(
        int((size + 2 * pad - d * (k - 1) - 1) / s) + 1
        for size, (k, s, pad, d) in zip(shape, spans, strict=True)
    )
    y = np.zeros((*x.shape[:axis], p.num_output, *sizes))
    per_group = x.shape[axis] // p.group
    for place, tap, there in taps(spans, sizes, shape):
        for image in np.ndindex(x.shape[:axis]):
            for out in range(p.num_output):
                first = out // (p.num_output // p.group) * per_group
                for channel in range(per_group):
                    value = x[(*image, first + channel, *there)]
                    y[(*image, out, *place)] += blobs[0][(out, channel, *tap)] * value
    for out in range(p.num_output if p.bias_term else 0):
        y[(slice(None),) * axis + (out,)] += blobs[1][out]
    return y


class TestConvolution(LayerContract):
    caffe_type = "Convolution"
    cases = {
        "plain": Case(body("num_output: 4 kernel_size: 3")),
        "one-by-one": Case(body("num_output: 4 kernel_size: 1")),
        "stride-pad": Case(body("num_output: 2 kernel_size: 3 stride: 2 pad: 1"), [(2, 3, 6, 7)]),
        "pad-beyond-kernel": Case(body("num_output: 2 kernel_size: 2 pad: 3"), [(1, 2, 2, 3)]),
        "stride-beyond-kernel": Case(body("num_output: 2 kernel_size: 2 stride: 3")),
        "dilation": Case(body("num_output: 2 kernel_size: 3 dilation: 2"), [(1, 2, 6, 7)]),
        "dilation-list": Case(
            body("num_output: 2 kernel_size: 2 dilation: 1 dilation: 3"), [(1, 2, 4, 6)]
        ),
        "dilation-0": Case(body("num_output: 2 kernel_size: 3 dilation: 0")),
        "dilation-0-one-axis": Case(body("num_output: 2 kernel_size: 2 dilation: 0 dilation: 2")),
        "group": Case(body("num_output: 6 kernel_size: 2 group: 3")),
        "depthwise": Case(body("num_output: 3 kernel_size: 3 pad: 1 group: 3 bias_term: false")),
        "no-bias": Case(body("num_output: 2 kernel_size: 2 bias_term: false")),
        "kernel-list": Case(body("num_output: 2 kernel_size: 2 kernel_size: 3")),
        "kernel-hw": Case(
            body("num_output: 2 kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1")
        ),
        "pad-h-alone": Case(body("num_output: 2 kernel_size: 3 pad_h: 1")),
        "nd-im2col": Case(body("num_output: 2 kernel_size: 3 force_nd_im2col: true")),
        "engine": Case(body("num_output: 2 kernel_size: 3 engine: CAFFE")),
        "one-axis": Case(body("num_output: 2 kernel_size: 3 stride: 2 pad: 1"), [(2, 3, 7)]),
        "three-axes": Case(body("num_output: 2 kernel_size: 2"), [(1, 2, 3, 4, 3)]),
        "no-spatial-axes": Case(body("num_output: 2"), [(4, 3)]),
        "no-spatial-axes-kernel": Case(body("num_output: 2 kernel_size: 5"), [(4, 3)]),
        "no-spatial-axes-group": Case(body("num_output: 4 group: 2"), [(4, 6)]),
        "axis-0": Case(body("num_output: 2 kernel_size: 2 axis: 0"), [(3, 4, 5)]),
        "axis-2": Case(body("num_output: 2 kernel_size: 2 axis: 2"), [(2, 2, 3, 4, 5)]),
        "axis-from-the-end": Case(body("num_output: 2 kernel_size: 2 axis: -2"), [(2, 2, 3, 4)]),
        "two-bottoms": Case(
            body("num_output: 2 kernel_size: 2"), [(1, 2, 3, 4), (1, 2, 3, 4)], tops=2
        ),
        "one-pixel": Case(body("num_output: 1 kernel_size: 1"), [(1, 1, 1, 1)]),
        "smaller-than-kernel": Case(body("num_output: 2 kernel_size: 3 stride: 2"), [(2, 3, 2, 2)]),
        "smaller-than-kernel-one-axis": Case(
            body("num_output: 2 kernel_size: 4 stride: 3"), [(1, 2, 2, 7)]
        ),
        "smaller-than-kernel-padded": Case(
            body("num_output: 2 kernel_size: 5 stride: 4 pad: 1"), [(1, 2, 1, 2)]
        ),
        "smaller-than-kernel-dilated": Case(
            body("num_output: 2 kernel_size: 3 dilation: 2 stride: 2"), [(1, 2, 4, 5)]
        ),
    }
    refusals = {
        "no-num-output": (
            Case(body("kernel_size: 1")),
            "num_output must be positive, got 0",
        ),
        "no-kernel": (
            Case(body("num_output: 2")),
            "has no kernel_size; give kernel_size, or kernel_h and kernel_w",
        ),
        "kernel-zero": (
            Case(body("num_output: 2 kernel_size: 0")),
            "kernel sizes must be positive, got (0, 0)",
        ),
        "stride-zero": (
            Case(body("num_output: 2 kernel_size: 1 stride: 0")),
            "strides must be positive, got (0, 0)",
        ),
        "three-kernels": (
            Case(body("num_output: 2 kernel_size: 1 kernel_size: 2 kernel_size: 3")),
            "has 3 values of kernel_size for 2 spatial axes; give 1 or 2",
        ),
        "kernel-twice": (
            Case(body("num_output: 2 kernel_size: 1 kernel_h: 1 kernel_w: 1")),
            "has both kernel_size and kernel_h; give one of them",
        ),
        "kernel-h-alone": (
            Case(body("num_output: 2 kernel_h: 1")),
            "has kernel_h but no kernel_w; give both, or kernel_size",
        ),
        "stride-w-alone": (
            Case(body("num_output: 2 kernel_size: 1 stride_w: 1")),
            "has stride_w but no stride_h; give both, or stride",
        ),
        "kernel-hw-of-three-axes": (
            Case(body("num_output: 2 kernel_h: 1 kernel_w: 1"), [(1, 2, 3, 4, 5)]),
            "kernel_h needs 2 spatial axes, this bottom has 3",
        ),
        "group-zero": (
            Case(body("num_output: 2 kernel_size: 1 group: 0")),
            "group must be positive, got 0",
        ),
        "channels": (
            Case(body("num_output: 2 kernel_size: 1 group: 2")),
            "its bottom's 3 channels do not divide by group 2",
        ),
        "outputs": (
            Case(body("num_output: 4 kernel_size: 1 group: 3")),
            "num_output 4 does not divide by group 3",
        ),
        "kernel-too-large": (
            Case(body("num_output: 2 kernel_size: 5")),
            "its kernel covers 5 pixels, more than the padded bottom's 4",
        ),
        "four-spatial-axes": (
            Case(body("num_output: 2 kernel_size: 1"), [(1, 1, 1, 1, 1, 1)]),
            "slides over 4 axes; torch computes at most 3 of them",
        ),
        "shapes": (
            Case(body("num_output: 2 kernel_size: 1"), [(1, 2, 3, 4), (1, 2, 3, 5)], tops=2),
            'all bottoms must have one shape; "b1" is 1x2x3x5, not 1x2x3x4',
        ),
        "tops": (
            Case(body("num_output: 2 kernel_size: 1"), tops=2),
            "takes as many tops as bottoms, got 1 bottoms and 2 tops",
        ),
        "axis": (
            Case(body("num_output: 2 kernel_size: 1 axis: 4")),
            "axis 4 is out of range for a bottom with 4 axes",
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
        return [convolve(param, x, blobs) for x in bottoms]


def test_smaller_than_the_kernel() -> None:
    case = Case(body("num_output: 1 kernel_size: 3 stride: 2"), [(1, 1, 2, 2)])
    net = CaffeNet(case.net("Convolution"), "TEST")
    with torch.no_grad():
        net.params["layer"][0].fill_(1)
    y = net(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))["t0"]
    assert y.tolist() == [[[[10.0]]]]


@pytest.mark.parametrize(
    ("options", "shape", "target"),
    [
        ("kernel_size: 3", (1, 3, 8, 8), "torch.nn.Conv2d"),
        ("kernel_size: 3", (1, 3, 8), "torch.nn.Conv1d"),
        ("kernel_size: 3", (1, 3, 8, 8, 8), "torch.nn.Conv3d"),
        ("kernel_size: 3 axis: 2", (1, 1, 3, 8, 8), "torchcaffe.layers.convolution.Convolution"),
        ("kernel_size: 3 stride: 2", (1, 3, 2, 2), "torchcaffe.layers.convolution.Convolution"),
    ],
)
def test_runs_torchs_own_module_where_it_can(
    options: str, shape: tuple[int, ...], target: str
) -> None:
    net = CaffeNet(Case(body(f"num_output: 2 {options}"), [shape]).net("Convolution"), "TEST")
    assert net.steps[-1].plan.call.target == target


def test_counts_multiply_adds() -> None:
    case = Case(body("num_output: 6 kernel_size: 2 group: 3"), [(2, 3, 4, 5)])
    net = CaffeNet(case.net("Convolution"), "TEST")
    assert net.steps[-1].plan.multiply_adds == 2 * 6 * (3 * 4) * (1 * 2 * 2)


def test_refuses_a_smaller_image_than_caffe_takes_when_it_runs() -> None:
    case = Case(body("num_output: 2 kernel_size: 3"), [(1, 2, 3, 3), (1, 2, 3, 3)], tops=2)
    net = CaffeNet(case.net("Convolution"), "TEST")
    with pytest.raises(LayerError) as caught:
        net(b0=torch.zeros(1, 2, 2, 2), b1=torch.zeros(1, 2, 2, 2))
    assert "cannot be computed for 1x2x2x2" in str(caught.value)
