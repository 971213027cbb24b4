"""`meterbook export`: the seed's JSON files, and readings in the formats of `export_readings`."""

import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from meterbook import day_close
from meterbook.cli.export_readings import export_commands
from meterbook.cli.opened import opened_database, personal_with, settings_with
from meterbook.domain.local_days import time_zone
from meterbook.exports.master_json import write_master_database
from meterbook.exports.recovery_json import write_recovery
from meterbook.storage.files import written_atomically


@click.group("export")
def export_files() -> None:
    """Export the books as files."""


@export_files.command("masterdb")
@click.option("--personal-data", "with_personal", is_flag=True, help="With names and FINs.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout.")
def export_masterdb(out: Path | None, *, with_personal: bool) -> None:
    """Write the master database JSON: totals of all closed days, half-hours of the newest."""
    settings = settings_with()
    personal = personal_with(settings) if with_personal else None
    with (
        opened_database(settings, is_new=False) as database,
        database.reading() as connection,
        _written(out) as file,
    ):
        count = write_master_database(connection, file, personal=personal)
    click.echo(f"{count} meters written", err=True)


@export_files.command("recovery")
@click.option("--day", required=True, type=click.DateTime(["%Y-%m-%d"]))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout.")
def export_recovery(day: datetime, out: Path | None) -> None:
    """Write one day's recovery JSON."""
    with (
        opened_database(settings_with(), is_new=False) as database,
        database.reading() as connection,
        _written(out) as file,
    ):
        zones = [time_zone(name) for name in day_close.zones(connection)]
        count = write_recovery(connection, file, day=day.date(), zones=zones)
    click.echo(f"{count} readings written", err=True)


for _command in export_commands():
    export_files.add_command(_command)


def _written(out: Path | None) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if out is None else written_atomically(out)
