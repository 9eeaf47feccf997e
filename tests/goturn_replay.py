"""Replays a recorded run of the original in a process of its own, and writes down what it found.

``python goturn_replay.py FOLDER RESULT.npz`` trains from the seeds alone, for as many iterations as
the recording has losses, and goes on for 2 more: from its own state, and from the recorded
``.solverstate`` if there is one. ``peak`` is the process's memory in bytes.
"""

import resource
import sys
from pathlib import Path

import numpy as np
import torch

from goturn.train import Settings, make_batches, make_solver, read_prototxts
from goturn_runs import answers, input_size, left_by, recipe
from torchcaffe import Solver
from torchcaffe.solvers import Ranks

MORE = 2


def begin(folder: Path, batch: int) -> Solver:
    """The recorded run at its beginning; it shows and writes nothing."""
    path = folder / "solver.prototxt"
    solver, net = read_prototxts(Settings(solver=path, net=folder / "net.prototxt"))
    settings = Settings(solver=path, seed=solver.random_seed, replay=True, batch=batch)
    solver.snapshot, solver.snapshot_after_train, solver.display = 0, False, 0
    batches = make_batches(settings, recipe(), input_size(folder / "run.npz"), Ranks())
    return make_solver(settings, solver, net, batches)


def losses(run: Solver, count: int) -> list[float]:
    found = []
    for _ in range(count):
        run.step(1)
        found.append(run.loss)
    return found


def replay(folder: Path) -> dict[str, object]:
    recording = folder / "run.npz"
    shape = answers(recording)["boxes"].shape
    run = begin(folder, shape[1])
    if not left_by(recording, ".caffemodel"):
        found: dict[str, object] = {"loss": np.float32(losses(run, shape[0]))}
    else:
        found = with_weights(run, shape[0])
    for state in left_by(recording, ".solverstate"):
        found |= resumed(run, state)
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def with_weights(run: Solver, iterations: int) -> dict[str, object]:
    """Losses, weights, and the root of the sum of squares of what each weight was made of."""
    squares = {entry.value: entry.value.detach().square() for entry in run.learnable}
    trained = []
    for _ in range(iterations):
        trained += losses(run, 1)
        for value, history in zip(squares, run.history, strict=True):
            # A step subtracts the history.
            squares[value] += history.square()
    found: dict[str, object] = {"loss": np.float32(trained)}
    for layer, blobs in run.net.params.items():
        for index, value in enumerate(blobs):
            found[f"after/{layer}/{index}"] = value.detach().numpy().copy()
            found[f"scale/{layer}/{index}"] = squares[value].sqrt().numpy()
    return found


def resumed(run: Solver, state: Path) -> dict[str, object]:
    """The losses that follow, from our state and from the recorded one."""
    place, stream = run.feeds[0].position(), run.stream.state
    unbroken = losses(run, MORE)
    run.restore(state, model=state.with_suffix(".caffemodel"))
    run.feeds[0].go_to(place)
    run.stream.state = stream
    restored = [history.numpy().copy() for history in run.history]
    return {
        "unbroken": np.float32(unbroken),
        "resumed": np.float32(losses(run, MORE)),
        **{f"restored/{index}": value for index, value in enumerate(restored)},
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez(sys.argv[2], **replay(Path(sys.argv[1])))
