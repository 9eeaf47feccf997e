"""Caffe's files: bytes and text to typed messages and back. Knows nothing of torch."""

from torchcaffe.proto.message import Location, Message
from torchcaffe.proto.nets import read_net, read_solver
from torchcaffe.proto.text import format_text, parse_text, read_text
from torchcaffe.proto.upgrade import upgrade_net, upgrade_solver

__all__ = [
    "Location",
    "Message",
    "format_text",
    "parse_text",
    "read_net",
    "read_solver",
    "read_text",
    "upgrade_net",
    "upgrade_solver",
]
