"""The command line: one verb per file, each with a ``command``."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
import warnings
from typing import Any

import click

from torchcaffe import __version__
from torchcaffe.errors import CaffeError
from torchcaffe.proto.suggest import did_you_mean


class Verbs(click.Group):
    """Finds the verbs in this folder and imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every public file of the folder is a verb."""
        names = [module.name for module in pkgutil.iter_modules(__path__)]
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's ``command``."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does it, with a suggestion for a verb that is misspelt."""
        if args and args[0] not in self.list_commands(ctx):
            hint = did_you_mean(args[0], self.list_commands(ctx)) or "."
            ctx.fail(f'there is no command "{args[0]}"{hint}')
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, message="torchcaffe %(version)s")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Caffe networks in PyTorch, exact to the last bit that floating point allows.

    \b
    Example:
      torchcaffe convert deploy.prototxt weights.caffemodel -o resnet/
    """
    ctx.obj = {"debug": debug}


def main(args: list[str] | None = None) -> None:
    """Run the command line: exit status 1 for an error, 2 for wrong usage."""
    given = sys.argv[1:] if args is None else args
    warnings.showwarning = _show_warning
    try:
        cli.main(given, prog_name="torchcaffe", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        click.echo("torchcaffe: interrupted", err=True)
        sys.exit(130)
    except CaffeError as error:
        _report(given, f"torchcaffe: {error}")
    except MemoryError:
        _report(given, "torchcaffe: out of memory; close other programs or use a smaller batch")
    except OSError as error:
        _report(given, f"torchcaffe: {error.filename or ''}: {error.strerror or error}")


def _report(given: list[str], message: str) -> None:
    if "--debug" in given:
        traceback.print_exc()
    click.echo(message, err=True)
    sys.exit(1)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"torchcaffe: warning: {message}", err=True)
