"""What a solver is refused for, in words."""

from pathlib import Path

import pytest
from runs import NET, make, solver_param

from torchcaffe.errors import NetError, ParseError, SolverError
from torchcaffe.proto import parse_text
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.solver import Solver

SETTINGS = 'base_lr: 1 lr_policy: "fixed" '
INLINE = f"net_param {{ {NET} }} "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the solver has no train net; give one of net, net_param, train_net, train_net_param"),
        (INLINE + 'net: "n"', r"s:1:\d+: the solver has more than one train net: net, net_param"),
        (INLINE + 'type: "Adm"', r'type takes SGD, Nesterov, .*; "Adm" is not one\. Did .* "Adam"'),
        (
            INLINE + 'type: "RMSProp" momentum: 0.5',
            r"s:\d+:\d+: RMSProp has no momentum in Caffe, got momentum 0.5; leave it out",
        ),
        (INLINE + 'type: "AdaGrad" momentum: 0.5', "AdaGrad has no momentum in Caffe"),
        (
            INLINE + 'type: "RMSProp" rms_decay: 1',
            "rms_decay lies from 0 to below 1, got 1",
        ),
        (
            INLINE + 'regularization_type: "L3"',
            'regularization_type takes "L2" or "L1", got "L3"',
        ),
        (
            INLINE + "average_loss: 0",
            "average_loss is over how many iterations .* averaged, at least 1; got 0",
        ),
        (INLINE + "iter_size: 0", "iter_size is how many batches make .*, at least 1; got 0"),
        (INLINE + "display: -1", "display must not be negative, got -1"),
        (
            INLINE + "test_net_param { } test_interval: 1",
            "test_iter says how many batches each test net runs: there are 1 test nets, so give 1 "
            "or more, the rest for the net itself; got 0",
        ),
        (
            'train_net: "a" test_net: "b" test_iter: 1 test_iter: 1 test_interval: 1',
            "there are 1 test nets, so give 1; got 2",
        ),
        (
            INLINE + "test_iter: 1 test_interval: 1 test_state { } test_state { }",
            "test_state is given once for each of the 1 test nets or not at all; got 2",
        ),
        (
            INLINE + "test_iter: 1",
            "test_interval must say after how many iterations to test, as there is a test_iter",
        ),
        (
            INLINE + "snapshot: 5",
            "snapshots are to be written, but snapshot_prefix does not say where to; snapshot: 0 "
            "and snapshot_after_train: false write none",
        ),
        (
            INLINE + 'snapshot: 5 snapshot_prefix: "no/such/place"',
            'snapshots cannot be written to "no/such/place"; make sure that the folder "no/such" '
            "exists",
        ),
        (
            "net_param { layers { } }",
            'net_param has the old field "layers", which Caffe upgrades in files only: here it '
            "would be ignored. Put the net into a file of its own, or write it with layer",
        ),
        ('net_param { input: "data" }', 'net_param has the old field "input"'),
        (
            'net_param { layer { name: "d" type: "Input" top: "d" '
            "input_param { shape { dim: 1 } } } }",
            "the train net has no parameters, so there is nothing to train",
        ),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(SolverError, match=words):
        Solver(parse_text(SETTINGS + text, SolverParameter, "s"))


def test_a_policy_is_checked_at_once() -> None:
    with pytest.raises(SolverError, match='"cosine" is not one'):
        param = solver_param()
        param.lr_policy = "cosine"
        Solver(param)


def test_both_types() -> None:
    with pytest.raises(NetError, match="remove solver_type"):
        make('type: "SGD" solver_type: SGD ')


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"none\.prototxt does not exist"):
        Solver(tmp_path / "none.prototxt")
    with pytest.raises(ParseError, match="gone does not exist"):
        Solver(parse_text(SETTINGS + 'net: "gone"', SolverParameter, "s"))
