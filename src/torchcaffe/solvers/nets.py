"""Which nets a solver trains and tests, and in which state.

Caffe: ``src/caffe/solver.cpp`` (InitTrainNet, InitTestNets). A net's state begins with the phase;
the net's own ``state`` is merged into it, and then the solver's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torchcaffe.errors import SolverError
from torchcaffe.proto.nets import read_net
from torchcaffe.proto.schema import NetParameter, NetState, SolverParameter


@dataclass(frozen=True)
class NetSource:
    """A net that a solver asks for, its state put in; ``file`` is None if it is in the solver."""

    param: NetParameter
    field: str
    file: str | None


def train_net(param: SolverParameter) -> NetSource:
    """The net that is trained."""
    for field in ("train_net_param", "net_param"):
        if param.has(field):
            source = _inline(getattr(param, field), field)
    for field in ("train_net", "net"):
        if param.has(field):
            source = _from_file(getattr(param, field), field)
    source.param.state = merged("TRAIN", source.param.state, param.train_state)
    return source


def test_nets(param: SolverParameter) -> list[NetSource]:
    """The nets that are tested: those of test_net_param, of test_net, then the net itself."""
    sources = list(_test_nets(param))
    for index, source in enumerate(sources):
        more = [param.test_state[index]] if param.test_state else []
        source.param.state = merged("TEST", source.param.state, *more)
    return sources


def _test_nets(param: SolverParameter) -> Iterator[NetSource]:
    for net in param.test_net_param:
        yield _inline(net, "test_net_param")
    for file in param.test_net:
        yield _from_file(file, "test_net")
    rest = len(param.test_iter) - len(param.test_net_param) - len(param.test_net)
    for _ in range(rest):
        if param.has("net_param"):
            yield _inline(param.net_param, "net_param")
        else:
            yield _from_file(param.net, "net")


def merged(phase: str, *states: NetState) -> NetState:
    """A state of ``phase``; what later states have replaces it, and their stages are added."""
    result = NetState(phase=phase)
    for state in states:
        for field, value in state.present():
            if field.repeated:
                value = [*getattr(result, field.name), *value]
            setattr(result, field.name, value)
    return result


def _from_file(file: str, field: str) -> NetSource:
    return NetSource(read_net(Path(file)), field, file)


def _inline(net: NetParameter, field: str) -> NetSource:
    if net.layers or net.input:
        old = "layers" if net.layers else "input"
        raise SolverError(
            f'{field} has the old field "{old}", which Caffe upgrades in files only: here it would '
            f"be ignored. Put the net into a file of its own, or write it with layer"
        )
    return NetSource(net.copy(), field, None)
