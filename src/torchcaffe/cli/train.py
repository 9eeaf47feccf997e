"""``torchcaffe train``: a solver's whole run."""

from __future__ import annotations

import glob
import os
import warnings
from contextlib import nullcontext
from pathlib import Path

import click
import torch

from torchcaffe.cli._caffe import (
    CaffeCommand,
    chosen_gpus,
    gpu_option,
    own_device,
    state_options,
)
from torchcaffe.cli._options import own_code_options
from torchcaffe.errors import InputError
from torchcaffe.logs import Line, Logging
from torchcaffe.proto import read_solver, read_text
from torchcaffe.proto.schema import SolverParameter
from torchcaffe.solvers.distributed import joined
from torchcaffe.solvers.events import Request
from torchcaffe.solvers.signals import Signals
from torchcaffe.solvers.snapshot import newest_snapshot
from torchcaffe.solvers.solver import Solver

ECHO = 2.0
"""Seconds in which torchrun hands a Ctrl-C on."""

EFFECTS = click.Choice([request.value for request in Request])


@click.command(cls=CaffeCommand)
@click.option("--solver", required=True, type=click.Path(), help="The solver prototxt.")
@click.option("--snapshot", default="", metavar="FILE", help="A solver state to go on from.")
@click.option("--resume", is_flag=True, help="Go on from the newest whole snapshot, if any.")
@click.option("--weights", default="", metavar="A[,B]", help="Weights to begin with.")
@gpu_option
@state_options
@click.option(
    "--sigint_effect", default="stop", show_default=True, type=EFFECTS, help="What Ctrl-C does."
)
@click.option(
    "--sighup_effect", default="snapshot", show_default=True, type=EFFECTS, help="And SIGHUP."
)
@click.option(
    "--log-dir",
    "--log_dir",
    "log_dir",
    default="",
    metavar="DIR",
    help="Keep JSON lines, TensorBoard events and the log here.",
)
@own_code_options
@click.option("--keep-going", is_flag=True, help="Train on when the loss is not finite.")
def command(
    solver: str,
    snapshot: str,
    resume: bool,
    weights: str,
    gpu: str,
    level: int,
    stage: str,
    sigint_effect: str,
    sighup_effect: str,
    log_dir: str,
    allow_python: bool,
    keep_going: bool,
) -> None:
    """Train as a solver prototxt says and as Caffe does.

    On a terminal there is a progress bar, elsewhere Caffe's log lines, on standard error. Flags may
    have one dash, as in Caffe. Ctrl-C stops after the iteration, with a snapshot; once more leaves
    at once.

    \b
    Example:
      torchcaffe train --solver lenet_solver.prototxt --log-dir logs/
    """
    if snapshot and (weights or resume):
        raise click.UsageError("give --snapshot alone, without --weights or --resume")
    param = _parameters(solver, weights, level, stage)
    gpus, option = _gpus(param, gpu)
    device = own_device(gpus, option)
    state = Path(snapshot) if snapshot else None
    if resume:
        state = _newest(param.snapshot_prefix)
    if state is not None:
        param.clear("weights")
    echo = ECHO if "TORCHELASTIC_RUN_ID" in os.environ else 0.0
    signals = Signals(Request(sigint_effect), Request(sighup_effect), echo)
    folder = Path(log_dir) if log_dir else None
    with (
        signals,
        joined(device) as ranks,
        Logging(folder, resuming=resume or bool(snapshot)) if ranks.leads else nullcontext() as log,
    ):
        if not ranks.leads:
            warnings.simplefilter("ignore")  # Rank 0 says the same.
        _say(log, *_prefix_lines(solver, param), *_device_lines(gpus))
        run = Solver(
            param,
            listener=log,
            device=device,
            keep_going=keep_going,
            allow_python=allow_python,
            poll=signals.poll,
            ranks=ranks,
        )
        if state is not None:
            _say(log, Line("caffe.cpp:235", f"Resuming from {state}"))
            run.restore(state)
        _say(log, Line("caffe.cpp:239", "Starting Optimization"))
        run.solve()
        _say(log, Line("caffe.cpp:250", "Optimization Done."))


def _newest(prefix: str) -> Path | None:
    """The newest whole snapshot; InputError if there are states, but none is whole."""
    newest = newest_snapshot(prefix)
    start = Path(f"{prefix}_iter_")
    states = sorted(start.parent.glob(f"{glob.escape(start.name)}*.solverstate*"))
    if newest is None and states:
        raise InputError(
            f"--resume: {states[0]} is there, but neither it nor another state of this solver can "
            f"be read with its weights. --snapshot {states[0]} says why; to begin anew, move the "
            f"states away"
        )
    return newest


def _parameters(solver: str, weights: str, level: int, stage: str) -> SolverParameter:
    """The solver with the flags put in; without ``--stage`` Caffe adds an empty stage."""
    param = read_solver(solver)
    state = param.ensure("train_state")
    state.level = level
    state.stage = [*state.stage, *stage.split(",")]
    if weights:
        param.weights = [weights]
    return param


def _gpus(param: SolverParameter, gpu: str) -> tuple[list[int], str]:
    """The GPUs, and what asks for them: the flag, or the solver if it says GPU itself."""
    if gpu or not param.has("solver_mode") or param.solver_mode != "GPU":
        return chosen_gpus(gpu), f"--gpu {gpu}"
    try:
        return chosen_gpus(str(param.device_id)), "the solver's solver_mode: GPU"
    except InputError as error:
        raise InputError(f"{param.where('solver_mode')}: solver_mode: GPU means {error}") from None


def _prefix_lines(solver: str, param: SolverParameter) -> list[Line]:
    """What Caffe says where it changes the snapshot_prefix."""
    given = read_text(solver, SolverParameter)
    if given.has("snapshot_prefix") and given.snapshot_prefix == param.snapshot_prefix:
        return []
    words, place = "was not specified and is set to", 1108
    if given.has("snapshot_prefix"):
        words, place = "was a directory and is replaced to", 1113
    text = f"snapshot_prefix {words} {param.snapshot_prefix}"
    return [Line(f"upgrade_proto.cpp:{place}", text)]


def _device_lines(gpus: list[int]) -> list[Line]:
    if not gpus:
        return [Line("caffe.cpp:197", "Use CPU.")]
    names = [torch.cuda.get_device_name(number) for number in gpus]
    return [
        Line("caffe.cpp:204", f"Using GPUs {', '.join(map(str, gpus))}"),
        *(Line("caffe.cpp:209", f"GPU {n}: {name}") for n, name in zip(gpus, names, strict=True)),
    ]


def _say(log: Logging | None, *lines: Line) -> None:
    if log is not None:
        for line in lines:
            log.write(line)
