"""`meterbook verify`, `backup` and `restore`."""

import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click
import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress, SpinnerColumn

from meterbook.cli.opened import opened_database, settings_with
from meterbook.queries.invariants import CHECKS
from meterbook.registry.personal_data import KEY_FILE
from meterbook.settings import Settings
from meterbook.storage import backup as backups
from meterbook.storage.database import Database
from meterbook.storage.kept_backups import backup_name, remove_old_backups
from meterbook.storage.migrate import migrate

FINDINGS_SHOWN_MAX = 100


@click.command()
def verify() -> None:
    """Check the invariants of the books; exit 1 if any is broken."""
    broken = 0
    with opened_database(settings_with(), is_new=False) as database:
        for name, check in CHECKS.items():
            with database.reading() as connection:
                for finding in check(connection):
                    broken += 1
                    if broken <= FINDINGS_SHOWN_MAX:
                        click.echo(finding)
            click.echo(f"checked {name}", err=True)
    if broken:
        click.echo(f"meterbook: {broken} invariants are broken", err=True)
        sys.exit(1)
    click.echo("the books are in order")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help="FOLDER holds backups: add one, named by its instant, and keep so many.",
)
@click.option(
    "--verify", "is_verified", is_flag=True, help="Check the invariants of what was copied, too."
)
def backup(folder: Path, keep: int | None, *, is_verified: bool) -> None:
    """Copy the book into a new folder while it is in use."""
    settings = settings_with()
    now = int(time.time())
    findings: list[str] = []
    made = folder / backup_name(now) if keep else folder
    with opened_database(settings, is_new=False) as database, _spinner("copying"):
        manifest = backups.back_up(
            database,
            made,
            key_file=_key_file(settings),
            now=now,
            examine=(lambda copied: findings.extend(_findings(copied))) if is_verified else None,
        )
    click.echo(f"{made}: {', '.join(manifest.digests)}, as of {_text(manifest.created_at)}")
    if KEY_FILE in manifest.digests:
        click.echo(f"{KEY_FILE} is in it: keep the folder as safe as the key", err=True)
    if findings:
        click.echo("\n".join(findings))
        click.echo("meterbook: the book that was copied is not in order", err=True)
        sys.exit(1)
    for removed in remove_old_backups(folder, made=made, kept=keep) if keep else ():
        click.echo(f"removed {removed}")


def _findings(connection: sa.Connection) -> list[str]:
    found = (finding for check in CHECKS.values() for finding in check(connection))
    return list(islice(found, FINDINGS_SHOWN_MAX))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def restore(folder: Path) -> None:
    """Make a backup the book; never overwrites one."""
    settings = settings_with()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        with _spinner("restoring"):
            manifest = backups.restore(database, folder, key_file=_key_file(settings))
            migrate(database)
    finally:
        database.close()
    click.echo(f"restored the book as of {_text(manifest.created_at)}; run: meterbook verify")


def _key_file(settings: Settings) -> Path | None:
    return None if settings.secret_key else settings.data_dir / KEY_FILE


def _spinner(what: str) -> Progress:
    progress = Progress(
        SpinnerColumn(), "{task.description}", console=Console(stderr=True), transient=True
    )
    progress.add_task(what, total=None)
    return progress


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat()
