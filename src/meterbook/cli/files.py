"""`meterbook import`: files in."""

import glob
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from meterbook.cli.import_any import import_any
from meterbook.cli.import_options import mapping_said, meters_said, shape_options
from meterbook.cli.opened import opened_database, personal_with, settings_with
from meterbook.domain.local_days import time_zone
from meterbook.imports import ImportRequest
from meterbook.imports.request import AUTO
from meterbook.intake.files.csv_mapping import CsvMapping, merged
from meterbook.intake.files.formats import FORMATS, SEED_FORMATS
from meterbook.intake.files.parsed import ParseOptions
from meterbook.settings import Settings


@click.command("import")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--format",
    "format_",
    default=AUTO,
    show_default=True,
    type=click.Choice([AUTO, *FORMATS, *SEED_FORMATS]),
)
@click.option("--zone", help="IANA zone of meters nobody registered; default: METERBOOK_TIMEZONE.")
@click.option(
    "--stamp",
    type=click.Choice(["start", "end"]),
    help="Which end of its interval a stamp names; default: what the format says, or start.",
)
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day of a recovery file; default: the one in its name.",
)
@shape_options
@click.option("--partial", is_flag=True, help="Store the good lines of a file with wrong ones.")
@click.option("--dry-run", is_flag=True, help="Check the files and store nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print each file's report as JSON.")
def import_files(
    paths: tuple[str, ...], format_: str, zone: str | None, day: datetime | None, **flags: Any
) -> None:
    """Import files; each is stored whole or not at all, and doing it again changes nothing."""
    settings = settings_with()
    request = _request(zone or settings.timezone, format_, day, flags, settings)
    found = _expanded(paths)
    refused = 0
    with opened_database(settings) as database, _progress(found) as advance:
        for outcome in import_any(database, found, request, as_json=flags["as_json"]):
            refused += outcome.refused
            first, _, more = outcome.line.partition("\n")
            click.echo(first, err=outcome.refused and not flags["as_json"])
            if more:
                click.echo(more)
            advance(outcome.path)
    if refused:
        raise click.ClickException(f"{refused} of {len(found)} files were refused")


def _request(
    zone: str, format_: str, day: datetime | None, flags: dict[str, Any], settings: Settings
) -> ImportRequest:
    stamps_zone = flags["stamps_zone"]
    mapping = mapping_said(flags, data_dir=settings.data_dir)
    if mapping.zone is None and format_ in {AUTO, "csv", "parquet", "dlms"}:
        mapping = merged(mapping, CsvMapping(zone=time_zone(zone).key))
    return ImportRequest(
        parse=ParseOptions(
            now=int(time.time()),
            reading_kwh_max=Decimal(str(settings.reading_kwh_max)),
            stamps_zone=None if stamps_zone is None else time_zone(stamps_zone),
            stamp_is_end=None if flags["stamp"] is None else flags["stamp"] == "end",
            unit=flags["unit"],
            mapping=mapping,
        ),
        zone=time_zone(zone).key,
        format=format_,
        meters=meters_said(flags["meters"]),
        partial=flags["partial"],
        dry_run=flags["dry_run"],
        day=None if day is None else day.date(),
        personal=partial(personal_with, settings),
    )


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
