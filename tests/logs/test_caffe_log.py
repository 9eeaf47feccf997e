"""Lines as Caffe logs them; whole runs are beside Caffe's own in solvers/test_recorded_logs.py."""

import io
import re
from datetime import datetime
from pathlib import Path

import pytest

from torchcaffe.logs import CaffeLog, Line, LogWriter, dump, number
from torchcaffe.logs.net_lines import built_lines, filtered_lines
from torchcaffe.net import CaffeNet
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import NetParameter, SolverParameter
from torchcaffe.solvers import events
from torchcaffe.solvers.solver import Solver

NET = """
name: "small" state { phase: TRAIN level: 1 stage: "a" }
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { name: "w" }
        inner_product_param { num_output: 3 bias_term: false } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip" top: "ip2" param { name: "w" }
        inner_product_param { num_output: 3 bias_term: false } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
layer { name: "sums" type: "Reduction" bottom: "ip2" top: "sums" include { stage: "b" } }
layer { name: "acc" type: "Accuracy" bottom: "ip2" bottom: "label" top: "acc"
        include { phase: TEST } include { not_stage: "a" } include { min_level: 2 } }
layer { name: "acc2" type: "Accuracy" bottom: "ip2" bottom: "label" top: "acc2"
        exclude { max_level: 0 } exclude { stage: "a" } }
"""

BUILT = """\
layer_factory.hpp:77] Creating layer data
net.cpp:86] Creating Layer data
net.cpp:382] data -> data
net.cpp:382] data -> label
net.cpp:124] Setting up data
net.cpp:131] Top shape: 2 3 (6)
net.cpp:131] Top shape: 2 (2)
net.cpp:139] Memory required for data: 32
layer_factory.hpp:77] Creating layer ip
net.cpp:86] Creating Layer ip
net.cpp:408] ip <- data
net.cpp:382] ip -> ip
net.cpp:124] Setting up ip
net.cpp:131] Top shape: 2 3 (6)
net.cpp:139] Memory required for data: 56
layer_factory.hpp:77] Creating layer relu
net.cpp:86] Creating Layer relu
net.cpp:408] relu <- ip
net.cpp:369] relu -> ip (in-place)
net.cpp:124] Setting up relu
net.cpp:131] Top shape: 2 3 (6)
net.cpp:139] Memory required for data: 80
layer_factory.hpp:77] Creating layer ip2
net.cpp:86] Creating Layer ip2
net.cpp:408] ip2 <- ip
net.cpp:382] ip2 -> ip2
net.cpp:124] Setting up ip2
net.cpp:131] Top shape: 2 3 (6)
net.cpp:139] Memory required for data: 104
net.cpp:467] Sharing parameters 'w' owned by layer 'ip', param index 0
layer_factory.hpp:77] Creating layer loss
net.cpp:86] Creating Layer loss
net.cpp:408] loss <- ip2
net.cpp:408] loss <- label
net.cpp:382] loss -> loss
layer_factory.hpp:77] Creating layer loss
net.cpp:124] Setting up loss
net.cpp:131] Top shape: (1)
net.cpp:134]     with loss weight 1
net.cpp:139] Memory required for data: 108
net.cpp:200] loss needs backward computation.
net.cpp:200] ip2 needs backward computation.
net.cpp:200] relu needs backward computation.
net.cpp:200] ip needs backward computation.
net.cpp:202] data does not need backward computation.
net.cpp:244] This network produces output loss
net.cpp:257] Network initialization done.
"""

FILTERED = """\
net.cpp:332] The NetState did not contain stage 'b' specified by a rule in layer sums
net.cpp:296] The NetState phase (0) differed from the phase (1) specified by a rule in layer acc
net.cpp:347] The NetState contained a not_stage 'a' specified by a rule in layer acc
net.cpp:306] The NetState level (1) is above the min_level (2) specified by a rule in layer acc
net.cpp:316] The NetState level (1) is above the max_level (0) specified by a rule in layer acc2
"""


def listed(lines: list[Line]) -> str:
    return "".join(f"{line.place}] {line.text}\n" for line in lines)


def test_the_building_of_a_net() -> None:
    param = parse_text(NET, NetParameter)
    assert listed(list(built_lines(CaffeNet(param)))) == BUILT
    *rules, whole = filtered_lines(param)
    assert listed(rules) == FILTERED
    assert whole.text.startswith('Initializing net from parameters: \nname: "small"\nstate {\n')
    assert "Accuracy" not in whole.text and not whole.text.endswith("\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-05, "1e-05"),
        (1234567.0, "1.23457e+06"),
        (0.30000001192092896, "0.3"),
        (3.0, "3"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_numbers_are_those_of_a_c_stream(value: float, text: str) -> None:
    assert number(value) == text


def test_a_dump_has_whole_numbers_without_point() -> None:
    text = 'base_lr: 1 gamma: 0.1 power: 1e6 momentum: 12345678 snapshot_prefix: "a: 1.0"'
    assert dump(parse_text(text, SolverParameter)).splitlines() == [
        "base_lr: 1",
        "gamma: 0.1",
        "power: 1e+06",
        "momentum: 12345678",
        'snapshot_prefix: "a: 1.0"',
    ]


def test_a_line_has_glog_s_prefix_with_a_day_that_has_no_year() -> None:
    stream = io.StringIO()
    LogWriter(stream)(Line("solver.cpp:57", "a\nb", "E"))
    pattern = r"E(\d{4}) \d\d:\d\d:\d\d\.\d{6} +\d+ solver\.cpp:57\] a\nb\n"
    found = re.fullmatch(pattern, stream.getvalue())
    assert found and datetime.strptime(f"2024{found[1]}", "%Y%m%d")


def logged(text: str, folder: Path) -> list[str]:
    """The messages of the solver's nets being made, dumps left out."""
    lines: list[Line] = []
    settings = 'base_lr: 1 lr_policy: "fixed" test_interval: 1'
    Solver(parse_text(f"{settings} {text}", SolverParameter), listener=CaffeLog(lines.append))
    return [line.text for line in lines if line.place.startswith("solver.cpp")][1:]


def test_where_nets_come_from(tmp_path: Path) -> None:
    net = NET.replace('state { phase: TRAIN level: 1 stage: "a" }', "")
    file = tmp_path / "n.prototxt"
    file.write_text(net)
    assert logged(f'train_net: "{file}" test_net: "{file}" test_iter: 1', tmp_path) == [
        f"Creating training net from train_net file: {file}",
        f"Creating test net (#0) specified by test_net file: {file}",
        "Solver scaffolding done.",
    ]
    inline = f"train_net_param {{ {net} }} test_net_param {{ {net} }} test_iter: 1"
    assert logged(inline, tmp_path) == [
        "Creating training net specified in train_net_param.",
        "Creating test net (#0) specified by test_net_param",
        "Solver scaffolding done.",
    ]
    assert logged(f"net_param {{ {net} }} test_iter: 1", tmp_path)[:2] == [
        "Creating training net specified in net_param.",
        "Creating test net (#0) specified by net_param",
    ]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (events.Restoring("a.solverstate"), "Restoring previous solver status from a.solverstate"),
        (events.Restored(Path("a.solverstate"), 3), "SGDSolver: restoring history"),
        (events.TestInterrupted(0), "Test interrupted."),
        (events.Stopped(events.Stop.REQUESTED), "Optimization stopped early."),
        (
            events.Snapshotting("model", Path("a.caffemodel.h5")),
            "Snapshotting to HDF5 file a.caffemodel.h5",
        ),
        (
            events.Snapshotting("state", Path("a.solverstate.h5")),
            "Snapshotting solver state to HDF5 file a.solverstate.h5",
        ),
    ],
)
def test_other_lines(event: events.Event, text: str) -> None:
    lines: list[Line] = []
    CaffeLog(lines.append)(event)
    assert [line.text for line in lines] == [text]


def test_what_weights_and_tests_leave_out() -> None:
    lines: list[Line] = []
    log = CaffeLog(lines.append)
    log(events.Finetuning("a.caffemodel", ("fc8",)))
    log(events.Testing(4, 0, ("data_split",)))
    log(events.Restored(Path("a.solverstate.h5"), 3))
    assert listed(lines).splitlines() == [
        "solver.cpp:72] Finetuning from a.caffemodel",
        "net.cpp:746] Ignoring source layer fc8",
        "solver.cpp:347] Iteration 4, Testing net (#0)",
        "net.cpp:678] Ignoring source layer data_split",
    ]
