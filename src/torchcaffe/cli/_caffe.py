"""What the verbs of Caffe's own program have in common: its flags, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click
import torch

from torchcaffe.errors import InputError
from torchcaffe.logs import Line

Decorated = Callable[..., Any]

GLOG_FLAGS = ("logtostderr", "alsologtostderr")
"""Flags of Caffe's log library that ask for what is done anyway."""


class CaffeCommand(click.Command):
    """A command that also takes its options as gflags does: ``-solver=f``, ``-solver f``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's, with a second dash before long options that have one."""
        known = {name for param in self.params for name in param.opts if name.startswith("--")}
        result: list[str] = []
        for place, arg in enumerate(args):
            if arg == "--":
                return super().parse_args(ctx, result + args[place:])
            name = arg.lstrip("-").partition("=")[0]
            if arg.startswith("-") and name in GLOG_FLAGS:
                continue
            one_dash = arg.startswith("-") and not arg.startswith("--") and len(name) > 1
            result.append(f"-{arg}" if one_dash and f"--{name}" in known else arg)
        return super().parse_args(ctx, result)


def state_options(function: Decorated) -> Decorated:
    """--level and --stage, as Caffe's program has them."""
    function = click.option(
        "--stage", default="", metavar="A,B", help="Stages of the net's state, by commas."
    )(function)
    return click.option(
        "--level", default=0, show_default=True, help="The level of the net's state."
    )(function)


def gpu_option(function: Decorated) -> Decorated:
    """--gpu."""
    return click.option(
        "--gpu",
        default="",
        metavar="all|0,1|none",
        help="Numbers of GPUs to compute on; the CPU if it is not given.",
    )(function)


def chosen_gpus(text: str) -> list[int]:
    """The numbers of the GPUs that ``--gpu`` names; InputError unless torch sees them all."""
    if text in ("", "none"):
        return []
    parts = [part.strip() for part in text.split(",")]
    if text != "all" and not all(part.isdigit() for part in parts):
        raise InputError(f'--gpu takes "all", "none" or numbers such as 0,1, got "{text}"')
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = list(range(there)) if text == "all" else [int(part) for part in parts]
    if not wanted or max(wanted) >= there:
        raise InputError(f"--gpu {text}: {_what_torch_sees(there)}")
    return wanted


def _what_torch_sees(there: int) -> str:
    if there:
        names = [f"{index} ({torch.cuda.get_device_name(index)})" for index in range(there)]
        return f"torch sees {', '.join(names)}"
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return f"torch sees no GPU (torch {torch.__version__}, {built}); --gpu none computes on the CPU"


def own_device(gpus: list[int], option: str) -> str:
    """The device of this process: one of the GPUs, or the CPU if there are none.

    Raises InputError unless torchrun has started one process here for each GPU.
    """
    if not gpus:
        return "cpu"
    # Caffe computes in float32; torch's convolutions would take fewer digits.
    torch.backends.cudnn.allow_tf32 = False
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if len(gpus) != processes:
        raise InputError(
            f"{option} means {len(gpus)} GPUs, and each takes a process of its own; there are "
            f"{processes} here. Start them with torchrun --nproc-per-node {len(gpus)} -m "
            f"torchcaffe train ..., or give one number"
        )
    return f"cuda:{gpus[int(os.environ.get('LOCAL_RANK', '0'))]}"


def only_device(gpu: str, write: Callable[[Line], None], places: tuple[int, int, int]) -> str:
    """The device of a verb that takes the first GPU only; says so in Caffe's words.

    ``places`` are the lines of caffe.cpp: of the CPU, of a GPU and of what is not used.
    """
    gpus = chosen_gpus(gpu)
    for number in reversed(gpus[1:]):
        text = f"Not using GPU #{number} for single-GPU function"
        write(Line(f"caffe.cpp:{places[2]}", text))
    if not gpus:
        write(Line(f"caffe.cpp:{places[0]}", "Use CPU."))
        return "cpu"
    write(Line(f"caffe.cpp:{places[1]}", f"Use GPU with device ID {gpus[0]}"))
    torch.backends.cudnn.allow_tf32 = False
    return f"cuda:{gpus[0]}"
