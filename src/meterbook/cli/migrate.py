"""`meterbook migrate`: the schema alone, before servers start; each of them would do it, too."""

import click

from meterbook.cli.opened import opened_database, settings_with


@click.command()
def migrate() -> None:
    """Bring the schema up to date, or make it; many at once wait for one another."""
    settings = settings_with()
    with opened_database(settings) as database:
        database.require_durable()
    click.echo("the schema is up to date")
