"""Older nets and solvers become what Caffe 1.0 makes of them."""

import logging
from pathlib import Path

import pytest

from torchcaffe.errors import NetError
from torchcaffe.proto import (
    format_text,
    parse_text,
    read_net,
    read_solver,
    read_weights_net,
    upgrade_net,
    upgrade_solver,
    write_wire,
)
from torchcaffe.proto.message import MESSAGES
from torchcaffe.proto.schema import NetParameter, SolverParameter
from torchcaffe.proto.schema.legacy import V1LayerParameter_LayerType
from torchcaffe.proto.upgrade_v0 import _ROUTES, _TYPES
from torchcaffe.proto.upgrade_v1 import _TYPES as V1_TYPES


def net(text: str) -> NetParameter:
    return parse_text(text, NetParameter, "net.prototxt")


def upgraded(text: str, problems: list[str] | None = None) -> NetParameter:
    return upgrade_net(net(text), "net.prototxt", problems)


UPGRADES = {
    "v0-convolution": (
        """
        name: "old" force_backward: true debug_info: true
        input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
        layers {
          layer {
            name: "conv" type: "conv" num_output: 4 biasterm: false pad: 1 kernelsize: 3 group: 2
            stride: 2 weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 0 scale: 2
          }
          bottom: "x" top: "y"
        }
        """,
        """
        name: "old" force_backward: true
        layer {
          name: "input" type: "Input" top: "x"
          input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }
        }
        layer {
          name: "conv" type: "Convolution" bottom: "x" top: "y"
          param { lr_mult: 1 decay_mult: 0 }
          transform_param { scale: 2 }
          convolution_param {
            num_output: 4 bias_term: false pad: 1 kernel_size: 3 group: 2 stride: 2
            weight_filler { type: "xavier" }
          }
        }
        """,
    ),
    "v0-padding-is-folded": (
        """
        input: "x"
        layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "x" top: "p" }
        layers { layer { name: "pool" type: "pool" pool: AVE kernelsize: 3 } bottom: "p" top: "y" }
        """,
        """
        layer {
          name: "pool" type: "Pooling" bottom: "x" top: "y"
          pooling_param { pool: AVE kernel_size: 3 pad: 2 }
        }
        """,
    ),
    "v0-data-layers": (
        """
        layers {
          layer {
            name: "a" type: "images" source: "list" batchsize: 2 scale: 0.5 meanfile: "mean"
            cropsize: 7 mirror: true rand_skip: 3 shuffle_images: true new_height: 9 new_width: 8
          }
          top: "a" top: "l"
        }
        layers {
          layer {
            name: "b" type: "window_data" source: "w" det_fg_threshold: 0.5 det_bg_threshold: 0.25
            det_fg_fraction: 0.75 det_context_pad: 1 det_crop_mode: "square"
          }
          top: "b"
        }
        layers { layer { name: "c" type: "hdf5_output" hdf5_output_param { file_name: "f" } } }
        """,
        """
        layer {
          name: "a" type: "ImageData" top: "a" top: "l"
          transform_param { scale: 0.5 mean_file: "mean" crop_size: 7 mirror: true }
          image_data_param {
            source: "list" batch_size: 2 rand_skip: 3 shuffle: true new_height: 9 new_width: 8
          }
        }
        layer {
          name: "b" type: "WindowData" top: "b"
          window_data_param {
            source: "w" fg_threshold: 0.5 bg_threshold: 0.25 fg_fraction: 0.75 context_pad: 1
            crop_mode: "square"
          }
        }
        layer { name: "c" type: "HDF5Output" hdf5_output_param { file_name: "f" } }
        """,
    ),
    "v0-dropped-in-silence": (
        'layers { layer { name: "a" type: "relu" new_num: 1 new_channels: 2 } }',
        'layer { name: "a" type: "ReLU" }',
    ),
    "v1-lists-become-specs": (
        """
        layers {
          name: "ip" type: INNER_PRODUCT bottom: "x" top: "y" loss_weight: 2
          param: "w" param: "" param: "b" blob_share_mode: PERMISSIVE blobs_lr: 1 blobs_lr: 2
          weight_decay: 3 include { phase: TEST } inner_product_param { num_output: 4 }
        }
        """,
        """
        layer {
          name: "ip" type: "InnerProduct" bottom: "x" top: "y" loss_weight: 2
          param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 3 }
          param { name: "" lr_mult: 2 }
          param { name: "b" }
          include { phase: TEST }
          inner_product_param { num_output: 4 }
        }
        """,
    ),
    "v1-transform-moves": (
        """
        state { level: 1 }
        layers {
          name: "a" type: DATA top: "a"
          data_param { source: "db" scale: 0.5 mean_file: "m" crop_size: 5 mirror: false }
        }
        layers { name: "b" type: WINDOW_DATA top: "b" window_data_param { crop_size: 3 } }
        layers { name: "c" type: RELU data_param { scale: 2 } bottom: "a" top: "c" }
        """,
        """
        state { level: 1 }
        layer {
          name: "a" type: "Data" top: "a"
          transform_param { scale: 0.5 mean_file: "m" crop_size: 5 mirror: false }
          data_param { source: "db" }
        }
        layer {
          name: "b" type: "WindowData" top: "b"
          transform_param { crop_size: 3 } window_data_param { }
        }
        layer { name: "c" type: "ReLU" bottom: "a" top: "c" data_param { scale: 2 } }
        """,
    ),
    "v2-transform-stays": (
        'layer { type: "Data" data_param { scale: 2 } }',
        'layer { type: "Data" data_param { scale: 2 } }',
    ),
    "input-shapes-go-first": (
        """
        layer { name: "r" type: "ReLU" bottom: "b" top: "r" }
        input: "a" input_shape { dim: 2 } input: "b" input_shape { dim: 3 dim: 4 }
        """,
        """
        layer {
          name: "input" type: "Input" top: "a" top: "b"
          input_param { shape { dim: 2 } shape { dim: 3 dim: 4 } }
        }
        layer { name: "r" type: "ReLU" bottom: "b" top: "r" }
        """,
    ),
    "input-names-alone-are-removed": ('input: "a" layer { name: "l" }', 'layer { name: "l" }'),
    "batch-norm": (
        """
        layer { type: "BatchNorm" param { name: "m" lr_mult: 1 } param { } param { decay_mult: 2 } }
        layer { type: "BatchNorm" param { lr_mult: 1 } }
        layer { type: "Scale" param { } param { } param { } }
        """,
        """
        layer {
          type: "BatchNorm" param { name: "m" lr_mult: 0 decay_mult: 0 }
          param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }
        }
        layer { type: "BatchNorm" param { lr_mult: 1 } }
        layer { type: "Scale" param { } param { } param { } }
        """,
    ),
}


@pytest.mark.parametrize(("old", "new"), UPGRADES.values(), ids=list(UPGRADES))
def test_nets(old: str, new: str) -> None:
    problems: list[str] = []
    before = net(old)
    text = format_text(before)
    after = upgrade_net(before, "net.prototxt", problems)
    assert format_text(after) == format_text(net(new))
    assert not problems
    assert format_text(before) == text
    assert format_text(upgrade_net(after)) == format_text(after)


def test_every_type_has_a_name() -> None:
    assert set(V1_TYPES) == set(V1LayerParameter_LayerType.numbers)
    assert set(_TYPES.values()) < set(V1_TYPES)
    for name, (_, types) in _ROUTES.items():
        assert name in MESSAGES["V0LayerParameter"].fields
        assert set(types) < set(_TYPES)


def test_what_a_v0_type_cannot_have_is_a_problem(caplog: pytest.LogCaptureFixture) -> None:
    problems: list[str] = []
    text = 'layers {\n  layer { name: "a" type: "relu"\n    num_output: 3 source: "s" }\n}'
    with caplog.at_level(logging.ERROR, logger="torchcaffe"):
        after = upgraded(text, problems)
    assert problems == [
        'net.prototxt:3:5: layer "a" of type "relu" has num_output, which the type does not know; '
        "it is ignored.",
        'net.prototxt:3:19: layer "a" of type "relu" has source, which the type does not know; '
        "it is ignored.",
    ]
    assert caplog.messages == problems
    assert format_text(after) == format_text(net('layer { name: "a" type: "ReLU" }'))


REFUSED = {
    "v0-type": (
        'layers { layer { name: "a" type: "convv" } }',
        'net.prototxt:1:28: layer "a" has the type "convv", which no V0 net has. '
        'Did you mean "conv"?',
    ),
    "v0-bottom": (
        'layers { layer { name: "a" type: "relu" } bottom: "x" }',
        'net.prototxt:1:43: layer "a" takes "x", which no layer before it makes.',
    ),
    "v0-padding-of-relu": (
        'input: "x" layers { layer { name: "p" type: "padding" } bottom: "x" top: "p" }\n'
        'layers { layer { name: "r" type: "relu" } bottom: "p" }',
        'net.prototxt:2:1: layer "r" of type "relu" takes the top of padding layer "p"; '
        "only conv and pool layers can.",
    ),
    "v0-padding-of-two": (
        'input: "x" layers { layer { name: "p" type: "padding" } bottom: "x" top: "p" }\n'
        'layers { layer { name: "c" type: "conv" } bottom: "p" bottom: "x" }',
        'net.prototxt:2:43: layer "c" takes the top of a padding layer and must have one bottom, '
        "but has 2.",
    ),
    "v0-padding-without-bottom": (
        'layers { layer { name: "p" type: "padding" } top: "p" }\n'
        'layers { layer { name: "c" type: "conv" } bottom: "p" }',
        'net.prototxt:1:1: padding layer "p" must have one bottom and one top, but has 0 and 1.',
    ),
    "mixed": (
        "layers { type: RELU }\nlayer { }",
        'net.prototxt:2:1: the net has layers both as "layer" and as the older "layers"; '
        'use "layer" only.',
    ),
    "too-few-dims": (
        'input: "a"\ninput_dim: [1, 2, 3]',
        'net.prototxt:2:1: input "a" has 3 of its 4 input_dim: there are 1 input fields and 3 '
        "input_dim; give four for each, or input_shape.",
    ),
    "too-few-shapes": (
        'input: "a" input: "b" input_shape { }',
        'net.prototxt:1:1: input "b" has no input_shape: there are 2 input fields and 1 '
        "input_shape; give one for each.",
    ),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=list(REFUSED))
def test_refused(text: str, words: str) -> None:
    with pytest.raises(NetError) as raised:
        upgraded(text)
    assert str(raised.value) == words


def test_places_survive() -> None:
    text = """
input: "x"
input_dim: [1, 1, 8, 8]
layers {
  layer { name: "c" type: "conv"
    kernelsize: 3 }
  bottom: "x"
}
layers { layer { type: "data"
  scale: 2 } }"""
    after = upgraded(text)
    source, conv, data = after.layer
    assert str(source.where()) == "net.prototxt:2:1"
    assert str(source.input_param.shape[0].where()) == "net.prototxt:3:1"
    assert str(conv.where()) == "net.prototxt:4:1"
    assert str(conv.where("bottom")) == "net.prototxt:7:3"
    assert str(conv.where("type")) == "net.prototxt:5:21"
    assert str(conv.convolution_param.where("kernel_size")) == "net.prototxt:6:5"
    assert str(conv.convolution_param.where()) == "net.prototxt:6:5"
    assert str(data.transform_param.where("scale")) == "net.prototxt:10:3"


class TestSolver:
    def solver(self, text: str) -> SolverParameter:
        return parse_text(text, SolverParameter, "solver.prototxt")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("SGD", "SGD"),
            ("NESTEROV", "Nesterov"),
            ("ADAGRAD", "AdaGrad"),
            ("RMSPROP", "RMSProp"),
            ("ADADELTA", "AdaDelta"),
            ("ADAM", "Adam"),
        ],
    )
    def test_type(self, old: str, new: str) -> None:
        before = self.solver(f"solver_type: {old}")
        after = upgrade_solver(before)
        assert format_text(after) == f'type: "{new}"\n'
        assert after.where("type") == before.where("solver_type")
        assert before.has("solver_type")

    def test_both_types(self) -> None:
        words = (
            r"^solver\.prototxt:2:1: the solver has a type \('SGD'\) and also the older "
            r"solver_type \(ADAM\); remove solver_type\.$"
        )
        with pytest.raises(NetError, match=words):
            upgrade_solver(self.solver('type: "SGD"\nsolver_type: ADAM'))

    def test_snapshot_prefix(self, tmp_path: Path) -> None:
        path = tmp_path / "quick.solver.prototxt"
        path.write_text("")
        assert read_solver(path).snapshot_prefix == str(tmp_path / "quick.solver")
        path.write_text(f'snapshot_prefix: "{tmp_path}"')
        assert read_solver(path).snapshot_prefix == str(tmp_path / "quick.solver")
        path.write_text('snapshot_prefix: "no/such"')
        assert read_solver(path).snapshot_prefix == "no/such"
        assert not upgrade_solver(self.solver("")).has("snapshot_prefix")


class TestFiles:
    def test_text_and_binary_are_upgraded(self, tmp_path: Path) -> None:
        text = 'layers { name: "r" type: RELU bottom: "x" top: "y" }'
        (tmp_path / "net.prototxt").write_text(text)
        write_wire(tmp_path / "net.caffemodel", net(text))
        expected = format_text(net('layer { name: "r" type: "ReLU" bottom: "x" top: "y" }'))
        assert format_text(read_net(tmp_path / "net.prototxt")) == expected
        assert format_text(read_weights_net(tmp_path / "net.caffemodel")) == expected

    def test_problems_name_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "net.caffemodel"
        write_wire(path, net('layers { layer { name: "a" type: "relu" pad: 1 } }'))
        problems: list[str] = []
        read_weights_net(path, problems)
        assert problems == [
            f'{path}: layer "a" of type "relu" has pad, which the type does not know; '
            "it is ignored."
        ]

    def test_unknown_fields_are_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "fork.caffemodel"
        path.write_bytes(b"\xa2\x06\x04\xfa\x0c\x01x\xa2\x06\x04\xfa\x0c\x01x")
        with caplog.at_level(logging.INFO, logger="torchcaffe"):
            assert len(read_weights_net(path).layer) == 2
        assert caplog.messages == [
            f"{path}: fields that Caffe 1.0 does not have are left alone: "
            "LayerParameter 207 (2 times)"
        ]
