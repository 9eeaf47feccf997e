"""Caffe's files: bytes and text to typed messages and back. Knows nothing of torch."""

from torchcaffe.proto.blobs import (
    blob_array,
    blob_diff,
    blob_matches,
    blob_shape,
    is_legacy,
    legacy_matches,
    make_blob,
)
from torchcaffe.proto.files import replacing
from torchcaffe.proto.message import Location, Message
from torchcaffe.proto.nets import read_net, read_solver, read_weights_net, unknown_fields
from torchcaffe.proto.schema import LayerParameter, NetParameter, SolverParameter
from torchcaffe.proto.suggest import did_you_mean
from torchcaffe.proto.text import format_text, parse_text, read_text
from torchcaffe.proto.upgrade import upgrade_net, upgrade_solver
from torchcaffe.proto.wire import encode, parse_wire, read_wire, write_wire

__all__ = [
    "LayerParameter",
    "Location",
    "Message",
    "NetParameter",
    "SolverParameter",
    "blob_array",
    "blob_diff",
    "blob_matches",
    "blob_shape",
    "did_you_mean",
    "encode",
    "format_text",
    "is_legacy",
    "legacy_matches",
    "make_blob",
    "parse_text",
    "parse_wire",
    "read_net",
    "read_solver",
    "read_text",
    "read_weights_net",
    "read_wire",
    "replacing",
    "unknown_fields",
    "upgrade_net",
    "upgrade_solver",
    "write_wire",
]
