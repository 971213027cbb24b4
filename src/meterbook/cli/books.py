"""Commands on the two books."""

import time
from datetime import date, datetime

import click
from rich.console import Console
from rich.progress import Progress

from meterbook import day_close
from meterbook.cli.opened import opened_database, settings_with
from meterbook.domain.local_days import time_zone
from meterbook.storage.database import Database


@click.command("close-day")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD")
@click.option("--zone", help="IANA zone; default: every zone that has meters.")
def close_day(day: datetime, zone: str | None) -> None:
    """Close a local day by hand; doing it again changes nothing."""
    with opened_database(settings_with(), is_new=False) as database:
        with database.reading() as connection:
            names = [zone] if zone else day_close.zones(connection)
        for name in names or [settings_with().timezone]:
            _close(database, day.date(), name)


def _close(database: Database, day: date, zone: str) -> None:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"closing {day} in {zone}", total=None)
        close = day_close.close_day(
            database,
            day=day,
            zone=time_zone(zone),
            now=int(time.time()),
            on_chunk=lambda done: progress.update(task, completed=done),
        )
    click.echo(
        f"{close.day} {close.zone}: {close.readings} readings into {close.channel_days} days, "
        f"{close.revised} of them revised"
    )
