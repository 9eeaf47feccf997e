"""What a run holds beside weights, histories and the iteration, and Caffe's snapshots lose."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from torchcaffe.errors import SolverError
from torchcaffe.net import CaffeNet
from torchcaffe.solvers.losses import SmoothedLoss

if TYPE_CHECKING:
    from torchcaffe.solvers.solver import Solver


def capture(solver: Solver) -> dict[str, Any]:
    """Random streams, places in the data, carried states and the losses on display, copied.

    On rank 0 with those of the other ranks, and BatchNorm's statistics there; all ranks call it.
    """
    tree = _captured(solver)
    if not solver.ranks.leads:
        tree["statistics"] = [value.detach().cpu() for value in _statistics(solver.net)]
    others = solver.ranks.gathered(tree)[1:]
    return tree | {"ranks": others}


def _captured(solver: Solver) -> dict[str, Any]:
    smoothed = solver.smoothed
    tree: dict[str, Any] = {
        "iter": solver.iter,
        "rng": solver.rng,
        "stream": solver.stream.state.astype(np.int64),
        "batches": [feed.position() for feed in solver.feeds],
        "data": [_places(net) for net in (solver.net, *solver.test_nets)],
        "carried": [_carried(net) for net in (solver.net, *solver.test_nets)],
        "smoothed": {
            "start": smoothed.start,
            "losses": list(smoothed.losses),
            "value": smoothed.value,
        },
    }
    if solver.rng == "torch":
        tree["torch"] = torch.get_rng_state()
        if solver.device.type == "cuda":
            tree["cuda"] = torch.cuda.get_rng_state(solver.device)
    return copy.deepcopy(tree)


def put_back(solver: Solver, tree: Mapping[str, Any]) -> None:
    """Make the run what it was when ``tree`` was captured.

    Raises SolverError if it had other nets or another number of ranks, InputError if a source of
    batches cannot go back.
    """
    ranks, others = solver.ranks, tree.get("ranks", [])
    if len(others) + 1 != ranks.size:
        raise SolverError(
            f"the state is of a run of {len(others) + 1} processes, this one has {ranks.size}; "
            f"start as many, or resume from the .solverstate, which begins data and random "
            f"numbers anew"
        )
    tree = tree if ranks.leads else others[ranks.rank - 1]
    if len(tree["batches"]) != len(solver.feeds) or tree["rng"] != solver.rng:
        raise SolverError(
            f"the state is of a run with {len(tree['batches']) - 1} test nets and rng "
            f'"{tree["rng"]}", this one has {len(solver.test_nets)} and "{solver.rng}"'
        )
    for feed, position in zip(solver.feeds, tree["batches"], strict=True):
        feed.go_to(position)
    solver.stream.state = np.asarray(tree["stream"]).astype(np.uint32)
    nets = (solver.net, *solver.test_nets)
    for net, places, carried in zip(nets, tree["data"], tree["carried"], strict=True):
        for name, place in places.items():
            _layer(net, name).go_to({key: _as_array(value) for key, value in place.items()})
        net.reset_state()
        for name, value in carried.items():
            _layer(net, name).state = value.to(solver.like)
    smoothed = SmoothedLoss(solver.param.average_loss, tree["smoothed"]["start"])
    smoothed.losses, smoothed.value = tree["smoothed"]["losses"], tree["smoothed"]["value"]
    solver.resumed = smoothed
    with torch.no_grad():
        for own, value in zip(_statistics(solver.net), tree.get("statistics", ()), strict=False):
            own.copy_(value)
    if solver.rng == "torch":
        torch.set_rng_state(tree["torch"])
        if solver.device.type == "cuda":
            torch.cuda.set_rng_state(tree["cuda"], solver.device)


def _layer(net: CaffeNet, name: str) -> Any:
    return net.get_submodule(name)


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


def _places(net: CaffeNet) -> dict[str, Any]:
    """Where the layers that read data stand in it."""
    return {
        name: module.position()
        for name, module in net.named_modules()
        if hasattr(module, "position") and hasattr(module, "go_to")
    }


def _statistics(net: CaffeNet) -> list[torch.Tensor]:
    """What layers gather as they run, in which ranks differ: BatchNorm's means and variances."""
    return [e.value for e in net.learnable if not isinstance(e.value, torch.nn.Parameter)]


def _carried(net: CaffeNet) -> dict[str, torch.Tensor]:
    """The states that LSTM and RNN layers hand from pass to pass."""
    return {
        name: module.state.cpu()
        for name, module in net.named_modules()
        if module is not net
        and hasattr(module, "reset_state")
        and isinstance(getattr(module, "state", None), torch.Tensor)
    }
