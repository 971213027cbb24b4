"""`meterbook catalogue`: the meter models that come with Meterbook."""

import time

import click

from meterbook.cli.opened import opened_database, settings_with
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.registry.catalogue import load_catalogue


@click.group()
def catalogue() -> None:
    """Meter models that come with Meterbook."""


@catalogue.command("load")
def load() -> None:
    """Load the models and their registers; what an admin changed or removed stays so."""
    models = catalogued_models()
    with opened_database(settings_with()) as database, database.writing() as connection:
        done = load_catalogue(connection, models, now=int(time.time()))
    click.echo(
        f"{len(models)} models: {done.added} items added, {done.updated} updated, "
        f"{done.unchanged} unchanged, {done.kept} left as an admin has them"
    )
