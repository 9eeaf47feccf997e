import numpy as np

from contract import Case, LayerContract
from torchcaffe.proto.schema import LayerParameter
from windows import geometry, taps

Array = np.ndarray


def body(options: str) -> str:
    return f"convolution_param {{ {options} }}"


class TestIm2col(LayerContract):
    caffe_type = "Im2col"
    cases = {
        "plain": Case(body("kernel_size: 3")),
        "stride-pad": Case(body("kernel_size: 3 stride: 2 pad: 1"), [(2, 3, 6, 7)]),
        "pad-beyond-kernel": Case(body("kernel_size: 1 pad: 2"), [(1, 2, 2, 3)]),
        "stride-beyond-kernel": Case(body("kernel_size: 1 stride: 3")),
        "dilation": Case(body("kernel_size: 2 dilation: 2")),
        "dilation-0": Case(body("kernel_size: 2 dilation: 0 dilation: 2")),
        "kernel-hw": Case(
            body("kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1")
        ),
        "kernel-list": Case(body("kernel_size: 2 kernel_size: 3")),
        "one-axis": Case(body("kernel_size: 2 stride: 2"), [(2, 3, 5)]),
        "three-axes": Case(body("kernel_size: 2"), [(1, 2, 2, 3, 3)]),
        "four-axes": Case(body("kernel_size: 2 axis: 0"), [(2, 2, 3, 2, 2)]),
        "axis-2": Case(body("kernel_size: 2 axis: 2"), [(2, 2, 3, 4, 3)]),
        "axis-from-the-end": Case(body("kernel_size: 2 axis: -2")),
        "nd-im2col": Case(body("kernel_size: 2 force_nd_im2col: true")),
        "smaller-than-kernel": Case(body("kernel_size: 3 stride: 2"), [(1, 2, 2, 2)]),
        "not-finite": Case(
            body("kernel_size: 1 pad: 1"),
            [np.array([[[[np.nan, np.inf], [-np.inf, 1]]]])],
            gradcheck=False,
        ),
        "engine-is-not-read": Case(body("kernel_size: 2 engine: CUDNN")),
    }
    refusals = {
        "no-kernel": (Case(body("pad: 1")), "has no kernel_size; give kernel_size"),
        "kernel-zero": (Case(body("kernel_size: 0")), "kernel sizes must be positive, got (0, 0)"),
        "stride-zero": (Case(body("kernel_size: 1 stride: 0")), "strides must be positive"),
        "no-spatial-axes": (
            Case(body("kernel_size: 1"), [(2, 3)]),
            "needs axes after axis 1, got 2x3",
        ),
        "kernel-too-large": (
            Case(body("kernel_size: 5")),
            "its kernel covers 5 pixels, more than the padded bottom's 4",
        ),
        "two-bottoms": (Case(body("kernel_size: 1"), [(1, 1, 1)] * 2), "takes 1 bottom, got 2"),
        "in-place": (Case('top: "b0" ' + body("kernel_size: 1"), tops=0), "overwrites its own"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[Array], blobs: list[Array], phase: str
    ) -> list[Array]:
        (x,) = bottoms
        axis = param.convolution_param.axis
        axis = axis + x.ndim if axis < 0 else axis
        shape = x.shape[axis + 1 :]
        spans = geometry(param, len(shape))
        kernel = tuple(k for k, _, _, _ in spans)
        sizes = tuple(
            int((size + 2 * pad - d * (k - 1) - 1) / s) + 1
            for size, (k, s, pad, d) in zip(shape, spans, strict=True)
        )
        y = np.zeros((*x.shape[: axis + 1], *kernel, *sizes), x.dtype)
        for place, tap, there in taps(spans, sizes, shape):
            for channel in np.ndindex(x.shape[: axis + 1]):
                y[(*channel, *tap, *place)] = x[(*channel, *there)]
        return [y.reshape(*x.shape[:axis], -1, *sizes)]
