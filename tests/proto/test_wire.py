"""Binary files: views of the mapped file, protobuf's odder rules, and the words for damage."""

import resource
import struct
from pathlib import Path

import numpy as np
import pytest

from torchcaffe.errors import InputError, ParseError
from torchcaffe.proto import (
    encode,
    make_blob,
    parse_wire,
    read_weights_net,
    read_wire,
    unknown_fields,
    write_wire,
)
from torchcaffe.proto.schema import (
    BlobProto,
    ClipParameter,
    Datum,
    FillerParameter,
    LayerParameter,
    NetParameter,
    SolverState,
    V1LayerParameter,
)

GOLDENS = Path(__file__).parents[1] / "goldens"
CAFFEMODEL = GOLDENS / "solvers/adam/tiny_iter_20.caffemodel"
SOLVERSTATE = GOLDENS / "solvers/adam/tiny_iter_20.solverstate"


def varint(value: int) -> bytes:
    return bytes([value >> 7 * i & 0x7F | (0x80 if i < 4 else 0) for i in range(5)])


class TestArrays:
    def test_are_views_of_the_buffer(self) -> None:
        raw = bytearray(encode(make_blob(np.array([1.0, 2.0], np.float32))))
        blob = parse_wire(raw, BlobProto)
        raw[raw.index(struct.pack("<f", 2.0)) + 3] ^= 0x80
        assert blob.data.tolist() == [1.0, -2.0]

    def test_outlive_everything_else(self) -> None:
        net = read_wire(CAFFEMODEL, NetParameter)
        data = next(layer for layer in net.layer if layer.blobs).blobs[0].data
        del net
        assert np.isfinite(data).all()
        assert not data.flags.owndata

    def test_can_be_changed_without_changing_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.binaryproto"
        write_wire(path, make_blob(np.zeros(4, np.float32)))
        before = path.read_bytes()
        read_wire(path, BlobProto).data[:] = 1
        assert path.read_bytes() == before

    def test_of_a_large_file_take_no_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "large.caffemodel"
        size = 1 << 30
        inside = b""
        for tag in (b"\x2a", b"\x3a", b"\xa2\x06"):
            inside = tag + varint(size + len(inside)) + inside
        with path.open("wb") as file:
            file.write(inside)
            file.truncate(len(inside) + size)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        net = read_weights_net(path)
        assert net.layer[0].blobs[0].data.shape == (size // 4,)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10

    @pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 1000])
    def test_unpacked_values_are_gathered(self, count: int) -> None:
        values = np.arange(count, dtype="<f4")
        raw = b"".join(b"\x35" + struct.pack("<f", value) for value in values)
        datum = parse_wire(b"\x08\x03" + raw + b"\x38\x01", Datum)
        assert datum.float_data.tolist() == values.tolist()
        assert (datum.channels, datum.encoded) == (3, True)
        assert encode(datum) == b"\x08\x03" + raw + b"\x38\x01"

    def test_both_encodings_in_pieces(self) -> None:
        one, two, three = (struct.pack("<f", value) for value in (1.0, 2.0, 3.0))
        raw = b"\x2d" + one + b"\x2a\x08" + two + three + b"\x08\x07" + b"\xad\x00" + one
        assert parse_wire(raw, BlobProto).data.tolist() == [1.0, 2.0, 3.0, 1.0]

    def test_doubles(self) -> None:
        raw = b"\x41" + struct.pack("<d", 1.5) + b"\x41" + struct.pack("<d", 2.5)
        assert parse_wire(raw, BlobProto).double_data.tolist() == [1.5, 2.5]


class TestProtobufRules:
    def test_the_last_value_wins_and_messages_are_merged(self) -> None:
        raw = b"\x0a\x01a\x0a\x01b" + b"\x32\x02\x08\x00" + b"\x32\x02\x10\x05"
        net = parse_wire(raw, NetParameter)
        assert (net.name, net.state.phase, net.state.level) == ("b", "TRAIN", 5)

    def test_presence_survives_a_default_value(self) -> None:
        filler = parse_wire(b"\x15\x00\x00\x00\x00", FillerParameter)
        assert filler.has("value") and not filler.has("min")
        assert encode(filler) == b"\x15\x00\x00\x00\x00"

    def test_negative_numbers_take_ten_bytes(self) -> None:
        raw = encode(FillerParameter(sparse=-1))
        assert raw == b"\x38" + b"\xff" * 9 + b"\x01"
        assert parse_wire(raw, FillerParameter).sparse == -1
        assert parse_wire(b"\x38\xff\xff\xff\xff\x0f", FillerParameter).sparse == -1

    def test_packed_and_unpacked_lists_are_read_alike(self) -> None:
        for raw in (b"\x20\x01\x20\x02", b"\x22\x02\x01\x02", b"\x20\x01\x22\x01\x02"):
            assert parse_wire(raw, NetParameter).input_dim == [1, 2]
            assert encode(parse_wire(raw, NetParameter)) == b"\x20\x01\x20\x02"

    def test_unknown_fields_come_back(self) -> None:
        varint, fixed, octets = b"\xf8\x2a\x85\x01", b"\xfd\x2a1234", b"\xfa\x2a\x03abc"
        double = b"\xf9\x2a12345678"
        net = parse_wire(varint + fixed + b"\x0a\x01n" + octets + double, NetParameter)
        assert [number for number, _, _ in net.unknown] == [687] * 4
        assert encode(net) == b"\x0a\x01n" + varint + fixed + octets + double
        assert unknown_fields(NetParameter(layer=[LayerParameter()])) == {}

    def test_unknown_numbers_of_an_enum_come_back(self) -> None:
        layer = parse_wire(b"\x28\xe9\x07", V1LayerParameter)
        assert not layer.has("type")
        assert layer.type == "NONE"
        assert encode(layer) == b"\x28\xe9\x07"

    def test_strings_that_are_not_utf_8_come_back(self) -> None:
        net = parse_wire(b"\x0a\x02a\xff", NetParameter)
        assert net.name == "a\udcff"
        assert encode(net) == b"\x0a\x02a\xff"

    def test_parameters_of_another_fork_are_kept(self) -> None:
        # 143 is input_param here; elsewhere it may be a number, or a message of numbers.
        raw = b"\x0a\x01a" + b"\xf8\x08\x05" + b"\xfa\x08\x02\x08\x07"
        layer = parse_wire(raw, LayerParameter)
        assert unknown_fields(layer) == {"LayerParameter 143": 1, "InputParameter 1": 1}
        assert encode(layer) == b"\x0a\x01a" + b"\xfa\x08\x02\x08\x07" + b"\xf8\x08\x05"


DAMAGED = {
    "announces-too-much": (
        b"\x0a\x01n" + b"\xa2\x06\x80\x80\x80\x12" + b"\x00" * 212,
        'x is truncated: field "layer" at byte 3 announces 37 748 736 bytes, 212 remain.',
    ),
    "announces-2-gb": (
        b"\xa2\x06\xff\xff\xff\xff\x07" + b"\x00" * 1017,
        'x is truncated: field "layer" at byte 0 announces 2 147 483 647 bytes, 1 017 remain.',
    ),
    "announces-2-gb-inside": (
        b"\xa2\x06\x06\x3a\xff\xff\xff\xff\x07\x00" + b"\x00" * 9,
        'x is damaged: field "blobs" at byte 3 announces 2 147 483 647 bytes, but its message has '
        "0 left.",
    ),
    "ends-in-a-tag": (b"\x0a\x01n\xa2", "x is truncated: it ends inside a tag at byte 3."),
    "ends-in-a-number": (b"\x28\x80", "x is truncated: it ends inside a number at byte 1."),
    "ends-in-a-length": (b"\x0a\x80", "x is truncated: it ends inside a length at byte 1."),
    "overlong-number": (
        b"\x28" + b"\x80" * 10 + b"\x01",
        "x is damaged: a number is longer than 10 bytes, at byte 1.",
    ),
    "overlong-length": (
        b"\x0a" + b"\x80" * 6,
        "x is damaged: a length is longer than 5 bytes, at byte 1.",
    ),
    "overlong-tag": (b"\xff" * 9, "x is damaged: a tag is longer than 5 bytes, at byte 0."),
    "wrong-wire-type": (
        b"\x0a\x01n\x08\x01",
        'x is damaged: field "name" of NetParameter has wire type 0 where 2 was expected, '
        "at byte 3.",
    ),
    "group": (b"\x0b\x0c", "x is damaged: field 1 of NetParameter is a group, which Caffe never"),
    "group-end": (b"\x0c", "x is damaged: field 1 of NetParameter is a group, which Caffe never"),
    "field-0": (b"\x00\x00", "x is damaged: no field of NetParameter can begin here, at byte 0."),
    "wire-type-7": (b"\x0f", "x is damaged: no field of NetParameter can begin here, at byte 0."),
    "unknown-ends": (b"\xfd\x2a12", "x is truncated: it ends inside field 687 at byte 0."),
    "unknown-too-long": (
        b"\xfa\x2a\x09abc",
        "x is truncated: field 687 at byte 0 announces 9 bytes, 3 remain.",
    ),
    "odd-array": (
        b"\xa2\x06\x07\x3a\x05\x2a\x03abc",
        'x is damaged: field "data" of BlobProto has 3 bytes, which is no multiple of 4, at byte 7',
    ),
    "float-ends": (
        b"\xa2\x06\x03\x2d12" + b"\x0a\x01n",
        'x is damaged: field "loss_weight" does not end inside its message, at byte 3.',
    ),
    "array-ends": (
        b"\xa2\x06\x05\x3a\x03\x2d12" + b"\x0a\x01n",
        'x is damaged: field "data" does not end inside its message, at byte 5.',
    ),
    "required": (
        b"\xa2\x06\x08\xa2\x09\x05\x0d1234",
        'x is damaged: ClipParameter lacks its required field "max", at byte 6.',
    ),
}


@pytest.mark.parametrize(("raw", "words"), DAMAGED.values(), ids=list(DAMAGED))
def test_damaged(raw: bytes, words: str) -> None:
    with pytest.raises(ParseError) as raised:
        parse_wire(raw, NetParameter, "x")
    assert str(raised.value).startswith(words)


def test_every_truncation_of_a_caffemodel_is_read_or_named() -> None:
    raw = CAFFEMODEL.read_bytes()
    for length in range(0, len(raw), 7):
        try:
            parse_wire(raw[:length], NetParameter, "x")
        except ParseError as error:
            assert str(error).startswith("x is truncated: ")


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty; a caffemodel (NetParameter) was expected there."),
            (b"PK\x03\x04rest", "is a zip archive, as torch.save writes (.pth, .pt) and numpy's"),
            (b"\x80\x02}q\x00.", "is a Python pickle, as old versions of torch.save write (.pth);"),
            (
                b"\x89HDF\r\n\x1a\n",
                "is an HDF5 file (Caffe names its HDF5 weights .caffemodel.h5);",
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                'is a git-lfs pointer (run "git lfs ',
            ),
            (b"\x1f\x8b\x08", "is compressed with gzip (decompress it first);"),
            (b"<!DOCTYPE html>", "is a web page (perhaps a failed download);"),
            (b'name: "tiny"\nlayer { }\n', "is a text file; a caffemodel (NetParameter) was"),
        ],
    )
    def test_other_kinds_are_recognised(self, tmp_path: Path, content: bytes, words: str) -> None:
        path = tmp_path / "net.caffemodel"
        path.write_bytes(content)
        with pytest.raises(ParseError) as raised:
            read_weights_net(path)
        assert str(raised.value).startswith(f"{path} {words}")
        assert str(raised.value).endswith("was expected.") or not content

    def test_other_files_of_caffe_are_recognised(self) -> None:
        words = "is a solverstate (SolverState); a caffemodel (NetParameter) was expected."
        with pytest.raises(ParseError) as raised:
            read_weights_net(SOLVERSTATE)
        assert str(raised.value) == f"{SOLVERSTATE} {words}"
        with pytest.raises(ParseError, match=r"is a binaryproto \(BlobProto\); a solverstate"):
            read_wire(GOLDENS / "data/mean.binaryproto", SolverState)

    def test_missing_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(
            ParseError, match=r"does not exist; a binaryproto .* was expected there"
        ):
            read_wire(tmp_path / "mean.binaryproto", BlobProto)
        with pytest.raises(ParseError, match="is a folder; a binary Datum was expected there"):
            read_wire(tmp_path, Datum)
        with pytest.raises(ParseError, match="cannot be read"):
            read_wire("a\0b", Datum)

    def test_writing_leaves_nothing_half_done(self, tmp_path: Path) -> None:
        path = tmp_path / "a.caffemodel"
        write_wire(path, NetParameter(name="before"))
        broken = NetParameter(layer=[LayerParameter(clip_param=ClipParameter(min=0.0))])
        with pytest.raises(InputError, match='ClipParameter lacks its required field "max"'):
            write_wire(path, broken)
        assert read_wire(path, NetParameter).name == "before"
        with pytest.raises(InputError, match=r"cannot be written \(no such file or directory\)"):
            write_wire(tmp_path / "no" / "a.caffemodel", NetParameter())
        assert [child.name for child in tmp_path.iterdir()] == ["a.caffemodel"]

    def test_written_as_encoded(self, tmp_path: Path) -> None:
        net = read_wire(CAFFEMODEL, NetParameter)
        write_wire(tmp_path / "copy.caffemodel", net)
        assert (tmp_path / "copy.caffemodel").read_bytes() == CAFFEMODEL.read_bytes()

    def test_more_than_a_message_can_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torchcaffe.proto.wire_writer._LONGEST", 100)
        with pytest.raises(InputError, match="takes 107 bytes, and a message can have 100; save"):
            encode(make_blob(np.zeros(25, np.float32)))
