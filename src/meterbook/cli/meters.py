"""`meterbook meter`: meters by hand."""

import click

from meterbook.cli.opened import opened_database, settings_with
from meterbook.domain.meter_ids import dashed, meter_id
from meterbook.registry.meters import set_meter_key
from meterbook.registry.tokens import new_secret, secret_hash


@click.group()
def meter() -> None:
    """Meters that push packets."""


@meter.command("key")
@click.argument("written_id", metavar="METER_ID")
@click.option("--remove", is_flag=True, help="Take the key away: trusted networks only again.")
def key(written_id: str, remove: bool) -> None:
    """Give a meter a new key and show it, this once; packets must carry it from now on."""
    number = meter_id(written_id)
    secret = None if remove else new_secret()
    with opened_database(settings_with()) as database, database.writing() as connection:
        set_meter_key(
            connection, meter_id=number, key_hash=None if secret is None else secret_hash(secret)
        )
    click.echo(f"meter {dashed(number)} has no key now" if secret is None else secret)
