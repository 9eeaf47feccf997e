"""The table of messages is Caffe's own."""

from hashlib import sha256
from pathlib import Path

import pytest
from official import describe, official_class

from torchcaffe.proto import read_wire, unknown_fields
from torchcaffe.proto.message import MESSAGES
from torchcaffe.proto.schema import BlobProto, NetParameter, SolverState

GOLDENS = Path(__file__).parents[1] / "goldens"
FILES = {"*.caffemodel": NetParameter, "*.solverstate": SolverState, "*.binaryproto": BlobProto}
BINARIES = [
    (path, message_class)
    for pattern, message_class in FILES.items()
    for path in sorted(GOLDENS.rglob(pattern))
]

# Of describe() on what protoc makes of src/caffe/proto/caffe.proto, BVLC/caffe commit 9b89154.
CAFFE_PROTO = "64ba04819d14319afa4f9341bdb78292632fff8e80efdd2e186e8502d25021c2"


def test_every_line_of_the_table_is_as_in_caffe_proto() -> None:
    lines = [
        line for name in sorted(MESSAGES) for line in describe(official_class(name).DESCRIPTOR)
    ]
    assert len(MESSAGES) == 63
    assert sha256("\n".join(lines).encode()).hexdigest() == CAFFE_PROTO


def test_packed_and_required_are_the_few_that_caffe_has() -> None:
    fields = [field for message in MESSAGES.values() for field in message.fields.values()]
    packed = {f"{field.owner}.{field.name}" for field in fields if field.packed}
    required = {f"{field.owner}.{field.name}" for field in fields if field.required}
    arrays = ("data", "diff", "double_data", "double_diff")
    assert packed == {"BlobShape.dim", *(f"BlobProto.{name}" for name in arrays)}
    assert required == {"ClipParameter.min", "ClipParameter.max"}


@pytest.mark.parametrize(
    ("path", "message_class"), BINARIES, ids=[str(p.relative_to(GOLDENS)) for p, _ in BINARIES]
)
def test_files_of_real_caffe_have_no_unknown_field(path: Path, message_class: type) -> None:
    assert not unknown_fields(read_wire(path, message_class))


def test_there_are_files_of_real_caffe() -> None:
    assert {message_class for _, message_class in BINARIES} == set(FILES.values())
