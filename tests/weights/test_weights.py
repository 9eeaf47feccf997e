"""Weights files of every kind: read, copied by name, refused in words."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import torchcaffe
from torchcaffe import proto
from torchcaffe.errors import CaffeError, InputError, WeightsError, WeightsWarning
from torchcaffe.net import CaffeNet
from torchcaffe.proto.schema import BlobProto, LayerParameter, NetParameter
from torchcaffe.weights import copy_weights, read_weights, save_weights

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def prototxt(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


@pytest.fixture
def net(prototxt: Path) -> CaffeNet:
    return torchcaffe.load(prototxt, seed=1)


def same(first: CaffeNet, second: CaffeNet) -> bool:
    return all(
        torch.equal(mine, theirs)
        for name, blobs in first.params.items()
        for mine, theirs in zip(blobs, second.params[name], strict=True)
    )


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5", ".npz"])
def test_saved_weights_come_back(
    net: CaffeNet, prototxt: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    save_weights(net, path)
    assert same(net, torchcaffe.load(prototxt, path))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["net.prototxt", path.name]


def as_lists(net: CaffeNet) -> dict[str, object]:
    return {name: [blob.detach().numpy() for blob in blobs] for name, blobs in net.params.items()}


def as_dictionaries(net: CaffeNet) -> dict[str, object]:
    return {
        name: {"weights": blobs[0].detach().numpy(), "biases": blobs[1].detach().numpy()}
        for name, blobs in net.params.items()
    }


@pytest.mark.parametrize("form", [as_lists, as_dictionaries])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_dictionaries(
    net: CaffeNet, prototxt: Path, tmp_path: Path, form: object, protocol: int
) -> None:
    path = tmp_path / "weights.npy"
    content = np.array(form(net), dtype=object)  # type: ignore[operator]
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(content, file, protocol=protocol)
    assert same(net, torchcaffe.load(prototxt, path))


def test_a_pickle_that_acts_is_refused(prototxt: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "owned"),))  # type: ignore[return-value]

    path = tmp_path / "weights.npy"
    np.save(path, np.array({"conv": Attack()}, dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match=r"it asks for pathlib\.\S+, which no array needs"):
        read_weights(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("separator", ["/", "_", ".", ":"])
@pytest.mark.parametrize("parts", [("0", "1"), ("w", "b"), ("weight", "bias")])
def test_npz_names(
    net: CaffeNet, prototxt: Path, tmp_path: Path, separator: str, parts: tuple[str, str]
) -> None:
    path = tmp_path / "weights.npz"
    arrays = {
        f"{name}{separator}{part}": blob.detach().numpy()
        for name, blobs in net.params.items()
        for part, blob in zip(parts, blobs, strict=True)
    }
    np.savez(path, **arrays)
    assert same(net, torchcaffe.load(prototxt, path))


def test_legacy_shapes_fit_from_the_end(net: CaffeNet, prototxt: Path, tmp_path: Path) -> None:
    saved = NetParameter()
    for name, blobs in net.params.items():
        layer = LayerParameter(name=name, type="old")
        for blob in blobs:
            shape = (1,) * (4 - blob.dim()) + tuple(blob.shape)
            sizes = dict(zip(("num", "channels", "height", "width"), shape, strict=True))
            layer.blobs.append(BlobProto(**sizes, data=blob.detach().numpy().reshape(-1)))
        saved.layer.append(layer)
    path = tmp_path / "legacy.caffemodel"
    proto.write_wire(path, saved)
    assert same(net, torchcaffe.load(prototxt, path))


def test_other_shapes_are_refused_with_both_and_a_way_out(net: CaffeNet, tmp_path: Path) -> None:
    path = tmp_path / "weights.caffemodel"
    save_weights(net, path)
    larger = NET.replace("dim: 4 dim: 4", "dim: 6 dim: 6")
    other = tmp_path / "larger.prototxt"
    other.write_text(larger)
    with pytest.raises(WeightsError) as caught:
        torchcaffe.load(other, path)
    assert str(caught.value) == (
        f'{other}:7: layer "fc" (InnerProduct), blob 0: the weights are (2, 12), the net wants '
        f'(2, 48). Its bottom "conv" is 3x4x4 here; 12 would be 3x2x2. Check the input size in the '
        f"prototxt. To learn this layer's weights from scratch, rename the layer."
    )


def test_a_missing_bias_is_explained(net: CaffeNet, tmp_path: Path) -> None:
    path = tmp_path / "weights.caffemodel"
    save_weights(net, path)
    other = tmp_path / "nobias.prototxt"
    other.write_text(NET.replace("num_output: 2", "num_output: 2 bias_term: false"))
    with pytest.raises(WeightsError, match=r"has 2 blobs for it, the net wants 1\. Was it"):
        torchcaffe.load(other, path)


def test_names_that_partly_match_warn_and_none_is_an_error(
    net: CaffeNet, prototxt: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weights.caffemodel"
    save_weights(net, path)
    renamed = tmp_path / "renamed.prototxt"
    renamed.write_text(NET.replace('name: "fc"', 'name: "fc8"'))
    with pytest.warns(WeightsWarning) as warned:
        torchcaffe.load(renamed, path)
    assert str(warned[0].message) == (
        f'{path} has no weights for "fc8", which keep their filler\'s values. Not used from the '
        f'file: "fc".'
    )
    renamed.write_text(NET.replace('name: "fc"', 'name: "a"').replace('name: "conv"', 'name: "b"'))
    with pytest.raises(WeightsError, match=r"has weights for none of the net's layers.*\"conv\""):
        torchcaffe.load(renamed, path)


def test_two_files_the_second_wins(net: CaffeNet, prototxt: Path, tmp_path: Path) -> None:
    save_weights(net, tmp_path / "a.caffemodel")
    other = torchcaffe.load(prototxt, seed=2)
    save_weights(other, tmp_path / "b.npz")
    both = torchcaffe.load(prototxt, [tmp_path / "a.caffemodel", tmp_path / "b.npz"])
    assert same(both, other)


def test_the_saved_model_is_what_caffe_writes(net: CaffeNet, tmp_path: Path) -> None:
    path = tmp_path / "weights.caffemodel"
    save_weights(net, path)
    saved = proto.read_weights_net(path)
    assert [layer.name for layer in saved.layer] == ["data", "conv", "fc"]
    assert [layer.phase for layer in saved.layer] == ["TEST"] * 3
    assert list(saved.layer[1].blobs[0].shape.dim) == [3, 2, 3, 3]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("w.npz", b"PK\x03\x04broken", "cannot be read as .npz"),
        ("w.npy", b"\x93NUMPY\x01\x00broken", "cannot be read as a dictionary of arrays"),
        ("w.caffemodel.h5", b"\x89HDF\r\n\x1a\nbroken", "cannot be read as HDF5"),
        ("w.caffemodel", b"", "is empty"),
        ("w.pth", b"\x80\x02}q\x00.", "a Python pickle"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CaffeError) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_other_contents_are_refused(net: CaffeNet, tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=r"nowhere does not exist; weights \(\.caffemodel"):
        read_weights(tmp_path / "nowhere")
    np.savez(tmp_path / "a.npz", lonely=np.zeros(3))
    with pytest.raises(WeightsError, match='array "lonely" names no layer and blob'):
        read_weights(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **{"fc/0": np.zeros(3), "fc/2": np.zeros(3)})
    with pytest.raises(WeightsError, match='layer "fc" has the blobs 0, 2; 0 to 1 were expected'):
        read_weights(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", np.zeros(3))
    with pytest.raises(WeightsError, match="holds an array of float64"):
        read_weights(tmp_path / "c.npy")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(WeightsError, match='have a group "data", this file has weights'):
        read_weights(tmp_path / "d.h5")
    with pytest.raises(InputError, match=r"weights are written as \.caffemodel, \.h5, \.npz"):
        save_weights(net, tmp_path / "weights.bin")


def test_hdf5_refuses_slashes_as_caffe_does(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(NET.replace('name: "fc"', 'name: "a/b"'))
    net = torchcaffe.load(path, seed=1)
    with pytest.raises(InputError, match='layer name "a/b" holds a "/"'):
        save_weights(net, tmp_path / "w.caffemodel.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.prototxt"]


def test_the_mapped_file_is_not_changed_by_training(
    net: CaffeNet, prototxt: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weights.caffemodel"
    save_weights(net, path)
    before = path.read_bytes()
    loaded = torchcaffe.load(prototxt, path)
    with torch.no_grad():
        for blob in loaded.params["conv"]:
            blob.add_(1)
    copy_weights(loaded, read_weights(path))
    assert same(loaded, net)
    assert path.read_bytes() == before


SHARED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
        param { name: "w" } param { name: "b" }
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
        inner_product_param { num_output: 3 bias_filler { type: "uniform" } } }
layer { name: "c" type: "InnerProduct" bottom: "b" top: "c" param { name: "w" } param { name: "b" }
        inner_product_param { num_output: 3 } }
"""


def test_hdf5_holds_a_shared_blob_once_as_caffe_does(tmp_path: Path) -> None:
    net = torchcaffe.load(proto.parse_text(SHARED, NetParameter, "net"), seed=3)
    path = tmp_path / "w.caffemodel.h5"
    save_weights(net, path)
    with h5py.File(path) as file:
        found = {layer: sorted(file["data"][layer]) for layer in file["data"]}
    assert found == {"data": [], "a": ["0", "1"], "b": ["1"], "c": []}
    other = torchcaffe.load(proto.parse_text(SHARED, NetParameter, "net"), seed=4)
    assert not same(net, other)
    copy_weights(other, read_weights(path))
    assert same(net, other)
    with h5py.File(path, "a") as file:
        del file["data/b/1"]
    with pytest.raises(WeightsError, match=r'"b" .* has 0 blobs for it, the net wants 2'):
        copy_weights(other, read_weights(path))


def test_hdf5_datasets_are_numbered(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("data/fc")["weight"] = [1.0]
    words = 'layer "fc" has the datasets weight; Caffe numbers them, 0, 1 and so on'
    with pytest.raises(WeightsError, match=words):
        read_weights(tmp_path / "w.h5")
