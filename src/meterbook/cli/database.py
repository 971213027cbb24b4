"""`meterbook database`: where the book is kept."""

import click

from meterbook.cli.opened import opened_database, settings_with
from meterbook.storage import distribution


@click.group()
def database() -> None:
    """Where the book is kept."""


@database.command()
@click.option(
    "--shards",
    default=distribution.SHARDS,
    show_default=True,
    type=click.IntRange(1, 4096),
    help="Into how many parts; fixed from the first time on.",
)
def distribute(shards: int) -> None:
    """
    Spread the book over the nodes of a Citus cluster; again after an upgrade, for new tables.

    METERBOOK_DATABASE is the coordinator. Stop the servers before.
    """
    with opened_database(settings_with(), is_new=False) as book:
        distribution.distribute(
            book, shards=shards, on_table=lambda name, what: click.echo(f"{name}: {what}")
        )
