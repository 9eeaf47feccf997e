"""The command line: one verb per file, each with a ``command``."""

from __future__ import annotations

import sys

import click

from torchcaffe import __version__
from torchcaffe.command_line import Verbs, run_program


@click.group(
    cls=Verbs,
    package=sys.modules[__name__],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, message="goturn %(version)s")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Track one object through a video, as the original GOTURN does.

    \b
    Example:
      goturn track clip.mp4 --box 120,80,60,40
    """
    ctx.obj = {"debug": debug}


def main(args: list[str] | None = None) -> None:
    """Run the command line: exit status 1 for an error, 2 for wrong usage."""
    run_program(cli, "goturn", args)
