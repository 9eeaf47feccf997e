"""What Caffe refuses in a solver, and what it would only notice later, refused at once.

Caffe: ``src/caffe/solver.cpp`` (Init, InitTrainNet, InitTestNets, CheckSnapshotWritePermissions),
``src/caffe/solvers/*.cpp``, ``include/caffe/sgd_solvers.hpp``.
"""

from __future__ import annotations

import os
from pathlib import Path

from torchcaffe.errors import SolverError
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.proto.suggest import did_you_mean
from torchcaffe.solvers._single import single
from torchcaffe.solvers.lr_policy import check_policy
from torchcaffe.solvers.regularise import KINDS
from torchcaffe.solvers.rules import RULES

TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")


def check_solver(param: SolverParameter) -> None:
    """Raise SolverError unless the solver can run; the nets themselves are not looked at."""
    _check_rule(param)
    check_policy(param)
    _check_numbers(param)
    _check_train_net(param)
    _check_test_nets(param)
    if param.snapshot:
        check_prefix(param)


def refuse(param: SolverParameter, field: str, message: str) -> SolverError:
    """The error for a field of the solver; to be raised by the caller."""
    where = param.where(field)
    return SolverError(f"{where}: {message}" if where else message)


def _check_rule(param: SolverParameter) -> None:
    if param.type not in RULES:
        hint = did_you_mean(param.type, RULES) or "."
        raise refuse(
            param, "type", f'type takes {", ".join(RULES)}; "{param.type}" is not one{hint}'
        )
    if param.type in ("AdaGrad", "RMSProp") and param.momentum != 0:
        raise refuse(
            param,
            "momentum",
            f"{param.type} has no momentum in Caffe, got momentum {param.momentum:g}; leave it out",
        )
    if param.type == "RMSProp" and not 0 <= single(param.rms_decay) < 1:
        raise refuse(
            param, "rms_decay", f"rms_decay lies from 0 to below 1, got {param.rms_decay:g}"
        )
    if param.regularization_type not in KINDS:
        raise refuse(
            param,
            "regularization_type",
            f'regularization_type takes "L2" or "L1", got "{param.regularization_type}"',
        )


def _check_numbers(param: SolverParameter) -> None:
    for field, words in (
        ("average_loss", "over how many iterations the displayed loss is averaged"),
        ("iter_size", "how many batches make an iteration"),
    ):
        if getattr(param, field) < 1:
            raise refuse(
                param, field, f"{field} is {words}, at least 1; got {getattr(param, field)}"
            )
    for field in ("display", "snapshot", "test_interval", "max_iter"):
        if getattr(param, field) < 0:
            raise refuse(param, field, f"{field} must not be negative, got {getattr(param, field)}")


def _check_train_net(param: SolverParameter) -> None:
    given = [field for field in TRAIN_NETS if param.has(field)]
    if not given:
        fields = ", ".join(TRAIN_NETS)
        raise refuse(param, "net", f"the solver has no train net; give one of {fields}")
    if len(given) > 1:
        raise refuse(param, given[1], f"the solver has more than one train net: {', '.join(given)}")


def _check_test_nets(param: SolverParameter) -> None:
    generic = param.has("net") or param.has("net_param")
    explicit = len(param.test_net_param) + len(param.test_net)
    count = len(param.test_iter)
    if count < explicit or (not generic and count != explicit):
        more = " or more, the rest for the net itself" if generic else ""
        raise refuse(
            param,
            "test_iter",
            f"test_iter says how many batches each test net runs: there are {explicit} test nets, "
            f"so give {explicit}{more}; got {count}",
        )
    if param.test_state and len(param.test_state) != count:
        raise refuse(
            param,
            "test_state",
            f"test_state is given once for each of the {count} test nets or not at all; "
            f"got {len(param.test_state)}",
        )
    if count and not param.test_interval:
        raise refuse(
            param,
            "test_iter",
            "test_interval must say after how many iterations to test, as there is a test_iter",
        )


def check_prefix(param: SolverParameter) -> None:
    """Raise SolverError unless snapshots can be written."""
    if not param.has("snapshot_prefix"):
        raise refuse(
            param,
            "snapshot",
            "snapshots are to be written, but snapshot_prefix does not say where to; snapshot: 0 "
            "and snapshot_after_train: false write none",
        )
    folder = Path(f"{param.snapshot_prefix}_").parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise refuse(
            param,
            "snapshot_prefix",
            f'snapshots cannot be written to "{param.snapshot_prefix}"; make sure that the folder '
            f'"{folder}" exists (from where the solver runs) and can be written to',
        )
