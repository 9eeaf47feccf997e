"""What the command lines have in common: verbs found in a folder, errors as one line."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
import warnings
from types import ModuleType
from typing import Any

import click

from torchcaffe.errors import CaffeError
from torchcaffe.proto.suggest import did_you_mean


class Verbs(click.Group):
    """A group whose commands are the public files of a package, each with a ``command``.

    A verb's file is imported only when it is asked for; ``some_verb.py`` is called ``some_verb``.
    """

    def __init__(self, *args: Any, package: ModuleType, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every public file of the package is a verb."""
        names = [module.name for module in pkgutil.iter_modules(self.package.__path__)]
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's ``command``."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{self.package.__name__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does it, with a suggestion for a verb that is misspelt."""
        if args and args[0] not in self.list_commands(ctx):
            hint = did_you_mean(args[0], self.list_commands(ctx)) or "."
            ctx.fail(f'there is no command "{args[0]}"{hint}')
        return super().resolve_command(ctx, args)


def run_program(cli: click.Command, program: str, args: list[str] | None = None) -> None:
    """Run a command line: exit status 1 for an error, 2 for wrong usage, 130 if interrupted.

    ``--debug`` among the arguments shows an error's traceback.
    """
    given = sys.argv[1:] if args is None else args

    def report(message: str) -> None:
        if "--debug" in given:
            traceback.print_exc()
        click.echo(f"{program}: {message}", err=True)
        sys.exit(1)

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        click.echo(f"{program}: warning: {message}", err=True)

    warnings.showwarning = show_warning
    try:
        cli.main(given, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        click.echo(f"{program}: interrupted", err=True)
        sys.exit(130)
    except CaffeError as error:
        report(str(error))
    except MemoryError:
        report("out of memory; close other programs or use a smaller batch")
    except OSError as error:
        report(f"{error.filename or ''}: {error.strerror or error}")
