"""
The `meterbook` command.

Exit codes: 0 done, 1 a named failure, 2 wrong usage. An error is one line on stderr.
"""

import sys

import click
import sqlalchemy as sa

from meterbook import __version__
from meterbook.cli import (
    accounts,
    books,
    catalogue,
    demo,
    files,
    meters,
    serve,
    settings,
    simulate,
    upkeep,
)
from meterbook.cli.errors import one_line


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="meterbook")
def meterbook() -> None:
    """Keep the book of every meter."""


for command in (
    serve.serve,
    demo.demo,
    accounts.account,
    meters.meter,
    catalogue.catalogue,
    books.close_day,
    files.import_files,
    files.export_files,
    settings.settings,
    upkeep.verify,
    upkeep.backup,
    upkeep.restore,
    simulate.simulate,
):
    meterbook.add_command(command)


def main() -> None:
    """Run the command; name a failure in one line."""
    try:
        meterbook(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        click.echo("meterbook: stopped", err=True)
        sys.exit(1)
    except click.ClickException as error:
        click.echo(f"meterbook: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (ValueError, LookupError, OSError, RuntimeError, sa.exc.SQLAlchemyError) as error:
        click.echo(f"meterbook: {one_line(error)}", err=True)
        sys.exit(1)
