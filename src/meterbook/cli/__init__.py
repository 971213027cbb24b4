"""
The `meterbook` command.

Exit codes: 0 done, 1 a named failure, 2 wrong usage. An error is one line on stderr.
"""

import sys
from importlib import import_module

import click

from meterbook import __version__
from meterbook.cli.errors import FAILURES, one_line

# Where each command is: only the one that runs is imported, which saves half of its start-up.
COMMANDS = {
    "account": "accounts:account",
    "backup": "upkeep:backup",
    "catalogue": "catalogue:catalogue",
    "close-day": "books:close_day",
    "database": "database:database",
    "demo": "demo:demo",
    "export": "export_files:export_files",
    "import": "files:import_files",
    "meter": "meters:meter",
    "migrate": "migrate:migrate",
    "restore": "upkeep:restore",
    "rollups": "rollups:rollups",
    "serve": "serve:serve",
    "settings": "settings:settings",
    "simulate": "simulate:simulate",
    "verify": "upkeep:verify",
}


class _Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="meterbook")
def meterbook() -> None:
    """Keep the book of every meter."""


def main() -> None:
    """Run the command; name a failure in one line."""
    try:
        meterbook(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        click.echo("meterbook: stopped", err=True)
        sys.exit(1)
    except click.exceptions.NoArgsIsHelpError as help_:
        click.echo(help_.format_message(), err=True)
        sys.exit(help_.exit_code)
    except click.ClickException as error:
        click.echo(f"meterbook: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except FAILURES as error:
        click.echo(f"meterbook: {one_line(error)}", err=True)
        sys.exit(1)
