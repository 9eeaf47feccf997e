"""Embed: rows of a table, looked up by index."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from torchcaffe.layers._call import Call
from torchcaffe.layers._exactness import bitwise
from torchcaffe.layers._registry import Blob, Plan, Setup, caffe_layer, filler


class Embed(nn.Module):
    """The rows of a table at the given indices, plus a bias; indices are floats, cut to integers.

    nn.Embedding takes integers and has no bias.
    """

    def __init__(self, rows: int, num_output: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, num_output))
        self.bias = nn.Parameter(torch.empty(num_output)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(...) to (..., num_output); IndexError for an index outside the table."""
        index = x.long()
        if not (index.is_meta or torch.compiler.is_compiling()) and index.numel():
            least, most, rows = int(index.min()), int(index.max()), self.weight.shape[0]
            if least < 0 or most >= rows:
                raise IndexError(f"the table has rows 0 to {rows - 1}, got {least} to {most}")
        y = functional.embedding(index, self.weight)
        return y if self.bias is None else y + self.bias


@caffe_layer("Embed", bottoms=1, tops=1, exactness=bitwise(), indices=(0,))
def embed(layer: Setup) -> Plan:
    """y = w[x] + b.

    bottom  x  (...)  indices in floats, cut towards zero
    top     y  (..., num_output)
    blobs   w  (input_dim, num_output);  b  (num_output)
    torch   nn.Embedding, without the bias, which Caffe adds by default
    Caffe   src/caffe/layers/embed_layer.cpp.  An index outside the table reads other memory in
            Caffe; here it is an error
    """
    p = layer.param.embed_param
    layer.require(p.num_output > 0, f"num_output must be positive, got {p.num_output}")
    layer.require(p.input_dim > 0, f"input_dim must be positive, got {p.input_dim}")
    blobs = [Blob("weight", filler(p, "weight_filler"))]
    if p.bias_term:
        blobs.append(Blob("bias", filler(p, "bias_filler")))
    options: dict[str, object] = {} if p.bias_term else {"bias": False}
    call = Call("torchcaffe.layers.embed.Embed", p.input_dim, p.num_output, **options)
    top = (*layer.bottoms[0], p.num_output)
    return Plan(call, tuple(blobs), tops=(top,))
