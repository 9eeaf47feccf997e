"""``torchcaffe device_query``: what torch knows of GPUs."""

from __future__ import annotations

import click
import torch

from torchcaffe.cli._caffe import CaffeCommand, chosen_gpus, gpu_option
from torchcaffe.logs import Line, LogWriter

PROPERTIES = (
    (179, "Major revision number", "major"),
    (180, "Minor revision number", "minor"),
    (181, "Name", "name"),
    (182, "Total global memory", "total_memory"),
    (183, "Total shared memory per block", "shared_memory_per_block"),
    (185, "Warp size", "warp_size"),
    (199, "Number of multiprocessors", "multi_processor_count"),
)
"""Of Caffe's list what torch tells: the line of common.cpp, the label, torch's name."""


@click.command(cls=CaffeCommand)
@gpu_option
def command(gpu: str) -> None:
    """Show the properties of GPUs, as Caffe logs them.

    \b
    Example:
      torchcaffe device_query --gpu all
    """
    write = LogWriter()
    write(Line("caffe.cpp:138", f"Querying GPUs {gpu}"))
    for number in chosen_gpus(gpu):
        found = torch.cuda.get_device_properties(number)
        write(Line("common.cpp:178", f"{'Device id:':<31}{number}"))
        for place, label, name in PROPERTIES:
            if hasattr(found, name):
                text = f"{label + ':':<31}{getattr(found, name)}"
                write(Line(f"common.cpp:{place}", text))
