"""``torchcaffe time``: how long each layer takes, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import click
import torch
from torch import Tensor

from torchcaffe.cli._caffe import CaffeCommand, gpu_option, only_device, state_options
from torchcaffe.load import load
from torchcaffe.logs import Line, LogWriter, number
from torchcaffe.net import CaffeNet, Run

Clock = Callable[[], float]


@click.command(cls=CaffeCommand)
@click.option("--model", required=True, type=click.Path(), help="The net's prototxt.")
@click.option("--weights", default="", metavar="FILE", help="Weights; Caffe reads none here.")
@click.option("--iterations", default=50, show_default=True, help="How many passes.")
@click.option(
    "--phase",
    default="TRAIN",
    show_default=True,
    type=click.Choice(["TRAIN", "TEST"]),
    help="Which layers belong to the net.",
)
@gpu_option
@state_options
def command(
    model: str, weights: str, iterations: int, phase: str, gpu: str, level: int, stage: str
) -> None:
    """Time a net layer by layer, as Caffe logs it. Inputs are 0.

    \b
    Example:
      torchcaffe time --model lenet.prototxt --iterations 10
    """
    if iterations < 1:
        raise click.UsageError(f"--iterations is at least 1, got {iterations}")
    write = LogWriter()
    device = only_device(gpu, write, (343, 339, 332))
    net = load(model, weights or None, phase=phase, level=level, stages=stage.split(","))
    net = net.to(device)
    inputs = {name: torch.zeros(shape, device=device) for name, shape in net.inputs.items()}
    write(Line("caffe.cpp:351", "Performing Forward"))
    untimed = [0.0] * len(net.steps)
    run, tops = _forward(net, inputs, untimed, perf_counter)
    write(Line("caffe.cpp:356", f"Initial loss: {number(run.loss.item())}"))
    write(Line("caffe.cpp:357", "Performing Backward"))
    _backward(tops, untimed, perf_counter)
    _benchmark(net, inputs, iterations, write)


def _benchmark(net: CaffeNet, inputs: dict[str, Tensor], iterations: int, write: LogWriter) -> None:
    write(Line("caffe.cpp:365", "*** Benchmark begins ***"))
    write(Line("caffe.cpp:366", f"Testing for {iterations} iterations."))
    forward, backward = ([0.0] * len(net.steps) for _ in range(2))
    clock = _clock(next(iter(inputs.values()), next(net.parameters(), torch.zeros(()))))
    start = clock()
    for iteration in range(iterations):
        begin = clock()
        _, tops = _forward(net, inputs, forward, clock)
        _backward(tops, backward, clock)
        text = f"Iteration: {iteration + 1} forward-backward time: {_ms(clock() - begin)}"
        write(Line("caffe.cpp:394", text))
    total = clock() - start
    write(Line("caffe.cpp:397", "Average time per layer: "))
    for step, ahead, back in zip(net.steps, forward, backward, strict=True):
        for place, what, seconds in ((400, "forward", ahead), (403, "backward", back)):
            text = f"{step.name:>10}\t{what}: {_ms(seconds / iterations)}"
            write(Line(f"caffe.cpp:{place}", text))
    for place, words, seconds in (
        (408, "Average Forward pass", sum(forward) / iterations),
        (410, "Average Backward pass", sum(backward) / iterations),
        (412, "Average Forward-Backward", total / iterations),
        (414, "Total Time", total),
    ):
        write(Line(f"caffe.cpp:{place}", f"{words}: {_ms(seconds)}"))
    write(Line("caffe.cpp:415", "*** Benchmark ends ***"))


def _forward(
    net: CaffeNet, inputs: dict[str, Tensor], times: list[float], clock: Clock
) -> tuple[Run, list[list[Tensor]]]:
    """Run each layer on bottoms that are cut from the layers before; the tops of each."""
    run = Run({}, {}, net._zero(inputs))
    tops = []
    for place, (step, key) in enumerate(zip(net.steps, net.keys, strict=True)):
        for name in step.bottoms:
            run.blobs[name] = run.blobs[name].detach().requires_grad_()
        begin = clock()
        net._run_step(step, key, inputs, run)
        times[place] += clock() - begin
        tops.append([run.blobs[name] for name in step.tops if run.blobs[name].requires_grad])
    return run, tops


def _backward(tops: list[list[Tensor]], times: list[float], clock: Clock) -> None:
    """The backward pass of each layer alone, whether training needs it or not, as in Caffe."""
    for place in reversed(range(len(tops))):
        begin = clock()
        if tops[place]:
            torch.autograd.backward(tops[place], [torch.ones_like(top) for top in tops[place]])
        times[place] += clock() - begin


def _clock(like: Tensor) -> Clock:
    """A clock that waits for what a GPU still computes."""

    def now() -> float:
        if like.is_cuda:
            torch.cuda.synchronize(like.device)
        return perf_counter()

    return now


def _ms(seconds: float) -> str:
    return f"{number(1000 * seconds)} ms."
