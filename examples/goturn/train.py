"""Train the narrow GOTURN of this folder on drawn videos and stills, and keep it as safetensors.

    python examples/goturn/train.py [FOLDER]

takes about five minutes of one core. FOLDER ("out/narrow") keeps the log and the snapshots; run it
again and it goes on from the newest. The committed ``narrow.safetensors`` and ``train.log`` are
what it left with the seeds below.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from goturn.data.procedural import stills, videos
from goturn.network import Network
from goturn.train import Settings, prepare
from torchcaffe.solvers import events, newest_snapshot

HERE = Path(__file__).parent
SEED = 1
"""Of what is drawn; the clip and the test videos have other seeds."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    settings = Settings(solver=HERE / "solver.prototxt", workers=0)
    moving = videos(400, SEED, frames=(4, 40))
    still = stills(400, SEED)
    with (folder / "train.log").open("a") as log:

        def tell(event: events.Event) -> None:
            if isinstance(event, events.Displayed):
                line = f"iteration {event.iteration} loss {event.loss:.1f}"
                print(line, flush=True)
                print(line, file=log, flush=True)

        run = prepare(settings, still, moving, listener=tell)
        run.param.snapshot_prefix = str(folder / "narrow")
        run.solve(newest_snapshot(run.param.snapshot_prefix))
    weights = folder / f"narrow_iter_{run.iter}.caffemodel"
    Network.load(weights, HERE / "net.prototxt").save(folder / "narrow.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/narrow"))
