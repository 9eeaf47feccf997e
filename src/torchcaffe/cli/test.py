"""``torchcaffe test``: the average outputs of a net over batches of its own data."""

from __future__ import annotations

import click
import torch

from torchcaffe.cli._caffe import CaffeCommand, gpu_option, only_device, state_options
from torchcaffe.errors import InputError
from torchcaffe.load import load
from torchcaffe.logs import Line, LogWriter, number, output_text
from torchcaffe.net import CaffeNet
from torchcaffe.solvers.testing import described, flat_outputs


@click.command(cls=CaffeCommand)
@click.option("--model", required=True, type=click.Path(), help="The net's prototxt.")
@click.option("--weights", required=True, type=click.Path(), help="Its weights, one file.")
@click.option("--iterations", default=50, show_default=True, help="How many batches.")
@gpu_option
@state_options
def command(model: str, weights: str, iterations: int, gpu: str, level: int, stage: str) -> None:
    """Score a net: each batch's outputs, then their averages, as Caffe logs them.

    \b
    Example:
      torchcaffe test --model lenet.prototxt --weights lenet_iter_500.caffemodel --iterations 100
    """
    if iterations < 1:
        raise click.UsageError(f"--iterations is at least 1, got {iterations}")
    write = LogWriter()
    device = only_device(gpu, write, (275, 266, 259))
    if device != "cpu":
        name = torch.cuda.get_device_name(device)
        write(Line("caffe.cpp:270", f"GPU device name: {name}"))
    net = load(model, weights, phase="TEST", level=level, stages=stage.split(","))
    if net.inputs:
        raise InputError(
            f"{model}: the net takes {', '.join(net.inputs)} as inputs, and a net is scored on "
            f'data that it reads itself; give it a data layer. "torchcaffe run" takes inputs'
        )
    write(Line("caffe.cpp:281", f"Running for {iterations} iterations."))
    _score(net.to(device), iterations, write)


def _score(net: CaffeNet, iterations: int, write: LogWriter) -> None:
    totals, loss = torch.zeros(0), torch.zeros(())
    for batch in range(iterations):
        with torch.no_grad():
            run = net.run({})
        values = flat_outputs(net, run).cpu()
        totals = totals + values if batch else values
        loss = loss + run.loss.cpu()
        for output in described(net, run, values):
            text = f"Batch {batch}, {output.blob} = {number(output.value)}"
            write(Line("caffe.cpp:304", text))
    write(Line("caffe.cpp:309", f"Loss: {number(loss.item() / iterations)}"))
    for output in described(net, run, totals / iterations):
        write(Line("caffe.cpp:321", output_text(output)))
