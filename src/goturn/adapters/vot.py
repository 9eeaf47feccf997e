"""The tracker as the vot-toolkit runs it: a process that speaks TraX on its pipes.

The toolkit is under the GPL. It is not imported here: it starts ``python -m goturn.adapters.vot``
and talks to it. ``trax`` (pip install vot-trax, under the BSD licence) does the talking.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from goturn.cli._options import network_options, required_weights
from goturn.errors import GoturnError
from goturn.sequence import read_image
from goturn.tracker import Tracker
from torchcaffe.command_line import run_program


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@network_options
def command(weights: str | None, **options: Any) -> None:
    """Wait for a vot-toolkit that wants an object tracked, and track it.

    The toolkit starts this: it is the command of a tracker whose protocol is "trax".

    \b
    Example:
      python -m goturn.adapters.vot --weights tracker.caffemodel
    """
    serve(Tracker(required_weights(weights), **options))


def serve(tracker: Tracker) -> None:
    """Answer a TraX client until it has no more frames."""
    try:
        import trax
    except ImportError:
        raise GoturnError("goturn.adapters.vot needs TraX: pip install vot-trax") from None
    with trax.Server(
        [trax.Region.RECTANGLE], [trax.Image.PATH], ["color"], tracker_name="GOTURN"
    ) as server:
        while (request := server.wait()).type != trax.TraxStatus.QUIT:
            image = read_image(Path(request.image["color"].path()))
            if request.type == trax.TraxStatus.INITIALIZE:
                ((region, _),) = request.objects
                tracker.init(image, region.bounds())
            else:
                tracker.update(image)
            corners = tracker.box.ordered().to_xywh()
            server.status([(trax.Rectangle.create(*corners), {})])


if __name__ == "__main__":
    run_program(command, "goturn.adapters.vot")
