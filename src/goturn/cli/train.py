"""``goturn train``: train a GOTURN, as the original was trained."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goturn.cli._data import TrainingData, data_options
from goturn.errors import DataError

if TYPE_CHECKING:
    from torchcaffe import Solver

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@data_options
@click.option(
    "--init",
    required=True,
    metavar="FILE",
    help="Weights to begin with: CaffeNet's, or a GOTURN's. \"none\" leaves what is drawn.",
)
@click.option("--solver", type=FILE, help="The solver.  [default: the original's]")
@click.option("--net", type=FILE, help="The training net.  [default: the solver's]")
@click.option("--seed", default=800, show_default=True, help="Of weights and examples.")
@click.option(
    "--replay",
    is_flag=True,
    help="The original's run, number by number: one process, its random streams, its order.",
)
@click.option(
    "--arithmetic",
    type=click.Choice(["openblas", "torch"]),
    default="openblas",
    show_default=True,
    help="Of --replay: add in the order of the original's libraries, or in torch's.",
)
@click.option("--workers", default=2, show_default=True, help="Processes that make examples.")
@click.option("--batch", default=50, show_default=True, help="Examples in a batch.")
@click.option(
    "--ablate",
    metavar="NAME",
    help="One difference of a known port, such as per-annotation; a wrong name lists them.",
)
@click.option("--skip-bad", is_flag=True, help="Pass over bad images and annotations; count them.")
@click.option("--iterations", type=int, help="Until which iteration.  [default: the solver's]")
@click.option("--output", metavar="PREFIX", help="Where snapshots go.  [default: the solver's]")
@click.option(
    "--resume",
    metavar="STATE",
    help='Go on from a snapshot\'s state; "newest" finds the newest in the place of --output.',
)
@click.option(
    "--log-dir",
    type=click.Path(path_type=Path),
    help="Keep JSON lines, TensorBoard events and Caffe's log here.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
def command(
    data: TrainingData,
    init: str,
    solver: Path | None,
    net: Path | None,
    seed: int,
    replay: bool,
    arithmetic: str,
    workers: int,
    batch: int,
    ablate: str | None,
    skip_bad: bool,
    iterations: int | None,
    output: str | None,
    resume: str | None,
    log_dir: Path | None,
    device: str,
) -> None:
    """Train a GOTURN on videos and images, as the original was trained.

    Pairs of images and of steps in videos take turns; of each come one true and ten shifted
    examples. On a terminal there is a progress bar, elsewhere Caffe's log lines, on standard error.
    Ctrl-C writes a snapshot and ends; --resume goes on from it. Under torchrun, every process
    trains with examples of its own.

    \b
    Example:
      goturn train --alov videos/ --alov-gt boxes/ --imagenet images/ \\
          --imagenet-gt xml/ --init caffenet.caffemodel --exclude-vot2014
    """
    from goturn import ablations
    from goturn.train import SOLVER, Settings, prepare
    from torchcaffe.logs import Logging
    from torchcaffe.solvers import Signals, joined

    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    if ablate is not None:
        ablations.trained(ablate)
    settings = Settings(
        solver=solver or SOLVER,
        net=net,
        init=None if init.lower() == "none" else Path(init),
        seed=seed,
        replay=replay,
        arithmetic=arithmetic,
        workers=workers,
        batch=batch,
        skip_bad=skip_bad,
        iterations=iterations,
        prefix=output,
        device=device,
    )
    bad: Counter[str] = Counter()
    counted = bad if skip_bad else None
    stills, videos = data.stills(counted), data.videos(counted)
    with (
        Signals() as signals,
        joined(device) as ranks,
        Logging(log_dir, resuming=bool(resume)) if ranks.leads else nullcontext() as log,
    ):
        if ranks.leads:
            click.echo(f"{len(videos)} videos, {len(stills)} images, batches of {batch}")
        begin = prepare if ablate is None else partial(ablations.prepare, ablate)
        run = begin(settings, stills, videos, ranks=ranks, listener=log, poll=signals.poll)
        run.solve(_state(resume, run))
        bad += getattr(run.feeds[0].source, "bad", Counter())
        for words, times in sorted(bad.items()):
            click.echo(f"passed over {times} times: {words}")


def _state(resume: str | None, run: Solver) -> Path | None:
    from torchcaffe.solvers import newest_snapshot

    if resume != "newest":
        return None if resume is None else Path(resume)
    state = newest_snapshot(run.param.snapshot_prefix)
    if state is None:
        raise DataError(f"there is no whole snapshot {run.param.snapshot_prefix}_iter_* to go on")
    return state
