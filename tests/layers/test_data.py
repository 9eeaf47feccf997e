from pathlib import Path

import numpy as np
import pytest

from contract import Case
from data_sources import datum, pixels, write_all, write_database
from layers.data_contract import DataContract, seeded, transformed
from torchcaffe.data import write_lmdb
from torchcaffe.errors import CaffeError, NetWarning
from torchcaffe.fillers import fill
from torchcaffe.net import CaffeNet
from torchcaffe.proto import blob_array, encode, parse_text, read_wire
from torchcaffe.proto.schema import BlobProto, Datum, FillerParameter, LayerParameter, NetParameter
from torchcaffe.random import Mersenne


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_all()


def case(
    transform: str = "",
    more: str = "batch_size: 3",
    phase: str = "TRAIN",
    tops: int = 2,
    source: str = "lmdb",
) -> Case:
    body = f'data_param {{ source: "{source}" backend: LMDB {more} }} '
    return Case(body + f"transform_param {{ {transform} }}" * bool(transform), [], tops, phase)


def record(place: int) -> np.ndarray:
    return pixels(place) / np.float32(7) if place % 3 == 2 else pixels(place)


class TestData(DataContract):
    caffe_type = "Data"
    cases = {
        "plain": case(),
        "no-label": case(tops=1),
        "test": case("crop_size: 4", phase="TEST"),
        "odd-crop": case("crop_size: 5", phase="TEST"),
        "crop": case("crop_size: 4"),
        "full-crop": case("crop_size: 6"),
        "mirror": case("mirror: true"),
        "mirror-test": case("mirror: true crop_size: 3", phase="TEST"),
        "all": case('crop_size: 4 mirror: true mean_file: "mean.binaryproto" scale: 0.3'),
        "one-mean": case("mean_value: 104.5 scale: 0.00390625"),
        "means": case("mean_value: 104 mean_value: 117 mean_value: 123"),
        "larger-than-its-source": case(more="batch_size: 10"),
        "one-at-a-time": case("mirror: true", "batch_size: 1 prefetch: 1"),
    }
    refusals = {
        "no-source": (case(source=""), "has none; give one, or give the net"),
        "missing": (
            case(source="gone"),
            'gone does not exist; an LMDB was expected there; or give the net "t0", "t1" as inputs',
        ),
        "no-lmdb": (case(source="list.txt"), "list.txt cannot be read as an LMDB"),
        "leveldb": (
            Case('data_param { source: "lmdb" batch_size: 1 }', [], 2),
            'reads "lmdb" as a LevelDB',
        ),
        "batch": (case(more=""), "needs a batch_size of at least 1, got 0"),
        "prefetch": (case(more="batch_size: 1 prefetch: 0"), "with which Caffe waits for ever"),
        "crop": (
            case("crop_size: 7"),
            'record "000" is 6x8, smaller than crop_size 7; resize the images or choose',
        ),
        "two-means": (
            case('mean_value: 1 mean_file: "mean.binaryproto"'),
            "has both mean_file and mean_value; give one of them",
        ),
        "mean-count": (case("mean_value: 1 mean_value: 2"), "and there are 2 mean values"),
        "mean-size": (
            case('mean_file: "small.binaryproto"'),
            "is 3x6x8 and the mean 3x3x3; the mean must have the size of the images before",
        ),
        "no-mean": (case('mean_file: "gone"'), "gone does not exist"),
        "both-forced": (
            case("force_color: true force_gray: true"),
            "has both force_color and force_gray; give one of them",
        ),
        "tops": (case(tops=3), "takes 1 to 2 tops, got 3"),
    }

    @staticmethod
    def reference(
        param: LayerParameter, bottoms: list[np.ndarray], blobs: list[np.ndarray], phase: str
    ) -> list[np.ndarray]:
        p, t, main = param.data_param, param.transform_param, Mersenne(1701)
        seeded(main, t, phase)
        stream = seeded(main, t, phase)
        mean = blob_array(read_wire(t.mean_file, BlobProto))[0] if t.mean_file else None
        images = [
            transformed(record(place % 7), t, phase, stream, mean) for place in range(p.batch_size)
        ]
        labels = np.array([place % 7 for place in range(p.batch_size)], np.float32)
        return [np.stack(images), labels][: len(param.top)]

    def test_ranks_take_turns_in_phase_train_only(self) -> None:
        for phase, expected in (("TRAIN", [1, 4, 0, 3, 6, 2]), ("TEST", [0, 1, 2, 3, 4, 5])):
            net = self.build(case(phase=phase))
            net.data_layers["layer"].deal(1, 3)
            labels = [top["t1"].tolist() for top in self.passes(net, 2)]
            assert np.ravel(labels).tolist() == expected

    def test_several_nets_read_one_database(self) -> None:
        first, second = self.build(case()), self.build(case())
        self.passes(first, 1)
        assert self.passes(second, 1)[0]["t1"].tolist() == [0, 1, 2]
        assert self.passes(first, 1)[0]["t1"].tolist() == [3, 4, 5]

    def test_draws_before_the_next_layer(self) -> None:
        layer = self.cases["all"].net("Data").layer[0]
        ip = (
            'name: "ip" type: "InnerProduct" bottom: "t0" top: "y" inner_product_param { '
            'num_output: 2 weight_filler { type: "uniform" } }'
        )
        net = CaffeNet(
            NetParameter(layer=[layer, parse_text(ip, LayerParameter)]), "TRAIN", seed=1701
        )
        stream = Mersenne(1701)
        stream.raw(3)
        weight = net.params["ip"][0].detach().numpy()
        filler = FillerParameter(type="uniform")
        assert np.array_equal(weight, fill(filler, weight.shape, stream))


def net(**options: str) -> CaffeNet:
    return CaffeNet(case(**options).net("Data"), "TRAIN", seed=1701)


def rewrite(**records: bytes) -> None:
    write_lmdb("other", ((key.encode(), value) for key, value in sorted(records.items())))


def test_a_corrupt_record_stops_the_run_and_is_named() -> None:
    rewrite(a=encode(datum(0)), b=encode(datum(0))[:-9])
    broken = net(source="other", more="batch_size: 1")
    assert broken.run({}).blobs["t1"].tolist() == [0]
    for _ in range(2):
        with pytest.raises(CaffeError, match='"layer" \\(Data\\): other: record "b"'):
            broken.run({})


def test_a_record_that_is_too_short() -> None:
    rewrite(a=encode(Datum(channels=3, height=2, width=2, data=b"1234")))
    with pytest.raises(CaffeError, match='record "a" is damaged: it holds 4 numbers for 3x2x2'):
        net(source="other")


def test_an_image_that_does_not_decode() -> None:
    rewrite(a=encode(Datum(encoded=True, data=b"not an image")))
    with pytest.raises(CaffeError, match='other: record "a" does not decode as an image'):
        net(source="other")


def test_images_of_several_sizes() -> None:
    small = Datum(channels=3, height=2, width=2, data=bytes(12), label=5)
    rewrite(a=encode(datum(0)), b=encode(small))
    assert net(source="other", more="batch_size: 1").run({}).blobs["t0"].shape == (1, 3, 6, 8)
    one = net(source="other", more="batch_size: 1")
    one.run({})
    assert one.run({}).blobs["t0"].shape == (1, 3, 2, 2)
    with pytest.raises(CaffeError, match='record "b" makes 3x2x2 in a batch of 3x6x8'):
        net(source="other", more="batch_size: 2").run({})


def test_an_empty_database() -> None:
    rewrite()
    with pytest.raises(CaffeError, match="other holds no records"):
        net(source="other")


def test_forced_channels() -> None:
    rewrite(a=encode(datum(1)))
    assert net(source="other", transform="force_gray: true").run({}).blobs["t0"].shape[1] == 1
    assert net(source="other", transform="force_color: true").run({}).blobs["t0"].shape[1] == 3


@pytest.mark.parametrize(
    ("more", "transform", "words"),
    [
        ("batch_size: 1 crop_size: 2", "", "has crop_size, which Caffe ignores here; put it into"),
        ("batch_size: 1 rand_skip: 2", "", "has rand_skip, which Caffe ignores here; leave it out"),
        ("batch_size: 1", "force_gray: true", "has force_gray, which Caffe ignores here"),
    ],
)
def test_what_caffe_ignores_is_said(more: str, transform: str, words: str) -> None:
    with pytest.warns(NetWarning, match=words):
        net(more=more, transform=transform)


def test_a_database_that_was_cut_while_it_was_read() -> None:
    reader = net()
    position = reader.data_layers["layer"].position()
    position["key"] = np.frombuffer(b"zzz", np.uint8)
    reader.data_layers["layer"].go_to(position)
    with pytest.raises(CaffeError, match='lmdb has no record "zzz" now'):
        reader.run({})


def test_a_database_is_not_overwritten() -> None:
    with pytest.raises(CaffeError, match="lmdb exists already; remove it or choose another name"):
        write_database("lmdb")


def test_a_net_that_reads_its_data_is_not_optimized() -> None:
    reader = CaffeNet(case(phase="TEST").net("Data"), "TEST", seed=1701)
    with pytest.raises(
        CaffeError, match="its own data cannot be optimized; build it with the shap"
    ):
        reader.optimize()


def test_no_source_is_printed_for_it() -> None:
    with pytest.raises(CaffeError, match="reads its data from a source, and a module takes inputs"):
        net().steps[0].plan.call.build()


def test_ranks_are_checked() -> None:
    with pytest.raises(CaffeError, match="a rank lies between 0 and 1, got 2"):
        net().data_layers["layer"].deal(2, 2)
