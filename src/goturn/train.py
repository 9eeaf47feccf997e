"""Training as the original trains: its examples, its net, its solver.

``prepare`` is a whole run from top to bottom. Each of its steps is a function that takes what the
ones before give, so that an experiment exchanges one and leaves the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from goturn.batches import BATCH, Batches, Groups, NumberedGroups, ReplayedGroups
from goturn.errors import DataError, ModelError
from goturn.examples import Recipe, original_recipe
from goturn.network import PUBLISHED, TOWER, input_size
from goturn.sequence import Sequence
from goturn.still import Still
from torchcaffe import CaffeNet, Solver, proto
from torchcaffe.openblas import imitate
from torchcaffe.proto import NetParameter, SolverParameter
from torchcaffe.random import Mersenne
from torchcaffe.solvers import Ranks, events
from torchcaffe.weights import SourceLayer, Weights, copy_weights, read_weights

SOLVER = PUBLISHED.with_name("solver.prototxt")
"""The original's solver, which names the published net."""


@dataclass(frozen=True)
class Settings:
    """What a run is, beside its data.

    solver, net
        prototxts; without a net, the one that the solver names, from the current folder or from
        the solver's.
    init
        weights to begin with, for all layers that they have; CaffeNet's serve both towers. None
        leaves what the fillers draw.
    seed
        of the fillers and, unless they are replayed, of the examples
    replay
        one process, libc's rand() from its start: the original's run, number by number. Otherwise
        ``workers`` processes make the same law's examples, the same for any number of them.
    arithmetic
        of a replay: "openblas" adds in the order of the original's libraries, so that losses are
        the same bits; "torch" in torch's, on any machine and device
    batch
        examples in a batch
    skip_bad
        pass over pairs whose images cannot be read, and count them
    iterations, prefix
        the solver's max_iter and snapshot_prefix, if not its own
    """

    solver: Path = SOLVER
    net: Path | None = None
    init: Path | None = None
    seed: int = 800
    replay: bool = False
    arithmetic: str = "openblas"
    workers: int = 2
    batch: int = BATCH
    skip_bad: bool = False
    iterations: int | None = None
    prefix: str | None = None
    device: str = "cpu"


def prepare(
    settings: Settings,
    stills: Ordered[Still],
    videos: Ordered[Sequence],
    *,
    ranks: Ranks | None = None,
    listener: events.Listener | None = None,
    poll: Callable[[], events.Request] | None = None,
) -> Solver:
    """A run that is ready: ``solve()`` trains, ``restore()`` goes on from a snapshot.

    Raises DataError where there is nothing to train with, ModelError for weights that do not fit,
    and whatever ``torchcaffe.Solver`` refuses.
    """
    recipe = original_recipe(stills, videos)
    solver, net = read_prototxts(settings)
    batches = make_batches(settings, recipe, input_size(net), ranks or Ranks())
    run = make_solver(settings, solver, net, batches, ranks, listener, poll)
    begin_from(run.net, settings.init)
    return run


def read_prototxts(settings: Settings) -> tuple[SolverParameter, NetParameter]:
    """The solver and the net that it trains."""
    solver = proto.read_solver(settings.solver)
    net = settings.net and proto.read_net(settings.net)
    for field in ("train_net_param", "net_param", "train_net", "net"):
        if net is None and solver.has(field):
            named = getattr(solver, field)
            net = _found(named, settings.solver) if isinstance(named, str) else named
        solver.clear(field)
    if settings.iterations is not None:
        solver.max_iter = settings.iterations
    if settings.prefix is not None:
        solver.snapshot_prefix = settings.prefix
    return solver, net or proto.read_net(PUBLISHED)


def _found(file: str, solver: Path) -> NetParameter:
    """The net of a file from the current folder, as in Caffe, or else from the solver's."""
    beside = solver.parent / file
    path = beside if beside.is_file() and not Path(file).is_file() else Path(file)
    return proto.read_net(path)


def make_batches(settings: Settings, recipe: Recipe, size: int, ranks: Ranks) -> Batches:
    """Where the batches come from, for crops of ``size`` pixels."""
    if settings.replay and ranks.size > 1:
        raise DataError("the original ran in one process: its run cannot be replayed by several")
    groups: Groups
    if settings.replay:
        groups = ReplayedGroups(recipe, size)
    else:
        groups = NumberedGroups(
            recipe, size, settings.seed, workers=settings.workers, rank=ranks.rank
        )
    return Batches(groups, size=settings.batch, skip_bad=settings.skip_bad, device=settings.device)


def make_solver(
    settings: Settings,
    solver: SolverParameter,
    net: NetParameter,
    batches: Batches | Callable[[int], Mapping[str, Tensor]],
    ranks: Ranks | None = None,
    listener: events.Listener | None = None,
    poll: Callable[[], events.Request] | None = None,
) -> Solver:
    """The net and its solver, filled from the seeds in the original's order.

    The original builds its net after ``seed``. Its solver, seeded again by its own file if that
    has a random_seed, builds the same net once more, and dropout draws on from there; but it is
    the first net that is trained.
    """
    solver = solver.copy()
    solver.net_param = net
    own_seed = solver.random_seed if solver.has("random_seed") else -1
    solver.random_seed = own_seed if own_seed >= 0 else settings.seed
    run = Solver(
        solver,
        batches=batches,
        listener=listener,
        device=settings.device,
        ranks=ranks,
        poll=poll,
    )
    if settings.replay and own_seed != settings.seed:
        stream = Mersenne(settings.seed)
        _copy(CaffeNet(net, "TRAIN", seed=stream), run.net)
        if own_seed < 0:
            CaffeNet(net, "TRAIN", seed=stream)
            run.stream.state = stream.state
    if settings.replay and settings.arithmetic == "openblas":
        imitate(run)
    return run


def _copy(source: CaffeNet, target: CaffeNet) -> None:
    for layer, blobs in source.params.items():
        for value, own in zip(blobs, target.params[layer], strict=True):
            own.data.copy_(value)


def begin_from(net: CaffeNet, init: Path | None) -> None:
    """Copy the weights of a file in, by layer name; those of one tower serve the other as well.

    Raises ModelError if it has no convolution of ours, WeightsError if shapes differ.
    """
    if init is None:
        return
    source = read_weights(init)
    given = {layer.name: layer for layer in source.layers if layer.blobs}
    missing = [name for name in TOWER if name not in given]
    if missing:
        raise ModelError(
            f"{init} is no CaffeNet: the layers {', '.join(missing)} are missing. The towers begin "
            f"as a CaffeNet that was trained on ImageNet"
        )
    twins = [
        SourceLayer(f"{name}_p", given[name].blobs, given[name].legacy)
        for name in TOWER
        if f"{name}_p" not in given
    ]
    with warnings.catch_warnings():
        # The fully connected layers begin as their fillers draw them.
        warnings.simplefilter("ignore")
        copy_weights(net, Weights(source.file, [*source.layers, *twins], source.last_wins))
