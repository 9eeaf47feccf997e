"""Kills training runs at any instant, again and again, and looks at what they left.

``python killing.py FOLDER FORMAT KILLS [SEED]``: each run goes on from the newest whole snapshot
and writes one an iteration. After each kill every state that is there must be whole, none may be
gone, and the newest must restore.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import runs

from torchcaffe.solvers.snapshot import is_whole, newest_snapshot

END = 100_000


def solver(folder: Path, form: str) -> runs.Solver:
    text = f"snapshot: 1 max_iter: {END} snapshot_format: {form}"
    return runs.make(runs.with_prefix(folder, text))


def train(folder: Path, form: str) -> None:
    run = solver(folder, form)
    newest = newest_snapshot(folder / "s")
    if newest is not None:
        run.restore(newest)
    run.step(END)


def kill_one(folder: Path, form: str, seconds: float) -> None:
    child = os.fork()
    if child == 0:
        train(folder, form)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    folder, form, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    solver(folder, form).step(2)
    whole: set[Path] = set()
    for _ in range(kills):
        kill_one(folder, form, 0.05 + 0.15 * rng.random())
        newest = newest_snapshot(folder / "s")
        assert newest is not None
        states = {path for path in folder.iterdir() if not path.name.startswith(".")}
        states = {
            path for path in states if path.name.endswith((".solverstate", ".solverstate.h5"))
        }
        damaged = {path for path in states if not is_whole(path)}
        assert not damaged, f"a state is there before its snapshot is whole: {damaged}"
        assert whole <= states, f"gone: {whole - states}"
        whole = states
        resumed = solver(folder, form)
        resumed.restore(newest)
    print(f"{kills} kills, {len(whole)} snapshots, the newest of iteration {resumed.iter}")


main()
