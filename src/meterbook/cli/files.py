"""`meterbook import` and `meterbook export`: files in and out."""

import glob
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import Progress

from meterbook import day_close
from meterbook.cli.file_outcomes import FileOutcome, ImportOptions
from meterbook.cli.import_json import import_masterdb, import_recovery
from meterbook.cli.import_lcl import import_lcl
from meterbook.cli.opened import opened_database, settings_with
from meterbook.domain.local_days import time_zone
from meterbook.exports.master_json import write_master_database
from meterbook.exports.recovery_json import write_recovery
from meterbook.registry.personal_data import PersonalData, personal_data
from meterbook.settings import Settings
from meterbook.storage.files import written_atomically

IMPORTS: dict[str, Callable[..., Iterator[FileOutcome]]] = {
    "lcl": import_lcl,
    "recovery": import_recovery,
    "masterdb": import_masterdb,
}


@click.command("import")
@click.argument("paths", nargs=-1, required=True)
@click.option("--format", "format_", required=True, type=click.Choice(list(IMPORTS)))
@click.option("--zone", help="IANA zone of meters nobody registered; default: METERBOOK_TIMEZONE.")
@click.option(
    "--stamp",
    type=click.Choice(["start", "end"]),
    default="start",
    show_default=True,
    help="Which end of its half hour a stamp of London CSV names.",
)
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day of a recovery file; default: the one in its name.",
)
@click.option("--dry-run", is_flag=True, help="Check the files and store nothing.")
def import_files(
    paths: tuple[str, ...],
    format_: str,
    zone: str | None,
    stamp: str,
    day: datetime | None,
    *,
    dry_run: bool,
) -> None:
    """Import files; each is stored whole or not at all, and doing it again changes nothing."""
    settings = settings_with()
    options = ImportOptions(
        zone=time_zone(zone or settings.timezone),
        now=int(time.time()),
        reading_kwh_max=Decimal(str(settings.reading_kwh_max)),
        stamp_is_end=stamp == "end",
        day=None if day is None else day.date(),
        dry_run=dry_run,
        personal=partial(_personal, settings),
    )
    found = _expanded(paths)
    refused = 0
    with opened_database(settings) as database, _progress(found) as advance:
        for outcome in IMPORTS[format_](database, found, options):
            refused += outcome.refused
            click.echo(outcome.line, err=outcome.refused)
            advance(outcome.path)
    if refused:
        raise click.ClickException(f"{refused} of {len(found)} files were refused")


@click.group("export")
def export_files() -> None:
    """Export the books as files."""


@export_files.command("masterdb")
@click.option("--personal-data", "with_personal", is_flag=True, help="With names and FINs.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout.")
def export_masterdb(out: Path | None, *, with_personal: bool) -> None:
    """Write the master database JSON: totals of all closed days, half-hours of the newest."""
    settings = settings_with()
    personal = _personal(settings) if with_personal else None
    with (
        opened_database(settings) as database,
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
        opened_database(settings_with()) as database,
        database.reading() as connection,
        _written(out) as file,
    ):
        zones = [time_zone(name) for name in day_close.zones(connection)]
        count = write_recovery(connection, file, day=day.date(), zones=zones)
    click.echo(f"{count} readings written", err=True)


def _written(out: Path | None) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if out is None else written_atomically(out)


def _personal(settings: Settings) -> PersonalData:
    return personal_data(data_dir=settings.data_dir, secret_key=settings.secret_key)


def _expanded(paths: tuple[str, ...]) -> list[Path]:
    # A shell that found nothing, and Windows always, hands the pattern itself over.
    found = []
    for path in paths:
        matches = [] if Path(path).exists() else sorted(glob.glob(path))  # noqa: PTH207 absolute or not
        found += [Path(match) for match in matches or [path]]
    return found


@contextmanager
def _progress(paths: list[Path]) -> Iterator[Callable[[Path], None]]:
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("importing", total=sum(sizes.values()) or None)
        yield lambda path: progress.advance(task, sizes.get(path, 0))
