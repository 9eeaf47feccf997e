"""HDF5Output: data and labels written to a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
from torch import Tensor, nn

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._loss import check_batch
from torchcaffe.layers._registry import Plan, Setup, caffe_layer
from torchcaffe.proto.files import replacing


class HDF5Output(nn.Module):
    """Writes what its first pass is given; a second pass is a RuntimeError, as Caffe aborts.

    Copies of the module do not write: copies of a net are run to measure it.
    """

    def __init__(self, file_name: str) -> None:
        super().__init__()
        self.file_name = file_name
        self.written = False
        self.is_copy = False

    def __deepcopy__(self, memo: dict[int, Any]) -> HDF5Output:
        twin = HDF5Output(self.file_name)
        twin.is_copy = True
        return twin

    def forward(self, data: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """No top; the datasets "data" and "label" have 4 axes."""
        if self.is_copy or data.is_meta:
            return ()
        if self.written:
            raise RuntimeError(
                f'"{self.file_name}" holds the first pass; a net with an HDF5Output layer runs '
                f"once. Build the net again to write another file"
            )
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            for name, blob in (("data", data), ("label", label)):
                values = blob.detach().cpu().numpy()
                file[name] = values.reshape(*values.shape, *[1] * (4 - values.ndim))
        with replacing(self.file_name) as target:
            target.write(buffer.getvalue())
        self.written = True
        return ()


@caffe_layer(
    "HDF5Output",
    bottoms=2,
    tops=0,
    exactness=bitwise(),
    gradient=bitwise(),
    max_axes=4,
)
def hdf5_output(layer: Setup) -> Plan:
    """No top: the bottoms are written to file_name, at the first pass and at no other.

    bottoms  data   (N, ...)
             label  (N, ...)
    torch    none
    Caffe    src/caffe/layers/hdf5_output_layer.cpp; both datasets have 4 axes
    """
    check_batch(layer)
    name = layer.param.hdf5_output_param.file_name
    layer.require(bool(name), "has no file_name in hdf5_output_param")
    layer.require(
        Path(name).parent.is_dir(), f'cannot write "{name}": its folder does not exist; make it'
    )
    return Plan(Call("torchcaffe.layers.hdf5_output.HDF5Output", name), tops=())
