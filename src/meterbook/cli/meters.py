"""`meterbook meter`: meters by hand."""

import time

import click

from meterbook.cli.opened import opened_database, settings_with
from meterbook.domain.meter_ids import dashed, meter_id
from meterbook.registry.meter_keys import give_meter_key, take_meter_key


@click.group()
def meter() -> None:
    """Meters that push packets."""


@meter.command("key")
@click.argument("written_id", metavar="METER_ID")
@click.option("--remove", is_flag=True, help="Take the key away: trusted networks only again.")
def key(written_id: str, remove: bool) -> None:
    """Give a meter a new key and show it, this once; packets must carry it from now on."""
    number = meter_id(written_id)
    now = int(time.time())
    with (
        opened_database(settings_with(), is_new=False) as database,
        database.writing() as connection,
    ):
        if remove:
            take_meter_key(connection, meter_id=number, by=None, now=now)
            shown = f"meter {dashed(number)} has no key now"
        else:
            shown = give_meter_key(connection, meter_id=number, by=None, now=now)
    click.echo(shown)
