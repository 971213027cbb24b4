"""`meterbook export csv`, `parquet`, `nem12`, `espi` and `zip`: readings as a file."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from meterbook.cli.opened import opened_database, settings_with
from meterbook.domain.meter_ids import meter_id
from meterbook.exports.formats import EXPORT_FORMATS
from meterbook.exports.selection import Selection, require_selectable
from meterbook.registry.accounts import account_by_name
from meterbook.registry.meters import installations_of
from meterbook.registry.refusals import NotThereError

_DAY = click.DateTime(["%Y-%m-%d"])
_SENTENCES = {
    "csv": "Write readings as CSV, a row for each interval.",
    "parquet": "Write readings as Parquet, a row for each interval.",
    "nem12": "Write readings as NEM12; days known only as a total are left out.",
    "espi": "Write readings as Green Button XML.",
    "zip": "Write all readings as an archive of CSV and Green Button XML.",
}


def export_commands() -> list[click.Command]:
    """Return a command for each format."""
    return [_command(name) for name in EXPORT_FORMATS]


def _command(name: str) -> click.Command:
    def export(**said: Any) -> None:
        _export(name, **said)

    options: list[Callable[[Any], Any]] = [
        click.option("--meter", "meters", multiple=True, help="Only these meters."),
        click.option("--account", help="Only the meters of this account, by its name."),
        click.option("--region", help="Only the meters of this region."),
        click.option("--from", "first_day", type=_DAY, help="First day."),
        click.option("--to", "end_day", type=_DAY, help="Day after the last."),
        click.option(
            "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout."
        ),
    ]
    for option in reversed(options):
        export = option(export)
    return click.command(name, help=_SENTENCES[name])(export)


def _export(
    name: str,
    *,
    meters: tuple[str, ...],
    account: str | None,
    region: str | None,
    first_day: datetime | None,
    end_day: datetime | None,
    out: Path | None,
) -> None:
    if first_day is not None and end_day is not None and end_day <= first_day:
        raise click.BadParameter("must be after --from", param_hint="--to")
    with (
        opened_database(settings_with(), is_new=False) as database,
        database.reading() as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        numbers = [meter_id(written) for written in meters]
        _require_known(connection, numbers)
        selection = Selection(
            meter_ids=numbers or None,
            account_id=None if account is None else _account_id(connection, account),
            region=region,
            first_day=first_day and first_day.date(),
            end_day=end_day and end_day.date(),
        )
        _require_region(connection, selection)
        path = out or Path(folder) / "readings"
        written = EXPORT_FORMATS[name].write(connection, path, selection, int(time.time()))
        if out is None:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
    left = f", {written.left_out} that {name} cannot carry" if written.left_out else ""
    click.echo(f"{written.readings} readings written{left}", err=True)


def _require_known(connection: sa.Connection, numbers: list[int]) -> None:
    if not numbers:
        return
    strangers = sorted(set(numbers) - installations_of(connection, set(numbers)).keys())
    if strangers:
        raise click.ClickException(f"there is no meter {', '.join(map(str, strangers))}")


def _require_region(connection: sa.Connection, selection: Selection) -> None:
    try:
        require_selectable(connection, selection)
    except NotThereError:
        where = selection.region or "that selection"
        raise click.ClickException(f"there is no meter in {where}") from None


def _account_id(connection: sa.Connection, name: str) -> int:
    found, _ = account_by_name(connection, username=name)
    if found is None:
        raise click.BadParameter(f"there is no account {name!r}", param_hint="--account")
    return found.id
