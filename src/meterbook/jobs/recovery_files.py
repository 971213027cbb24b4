"""Recovery files: every two hours and at shutdown, each day with open readings is written out."""

from datetime import date
from pathlib import Path

from meterbook import daybook
from meterbook.day_close import zones
from meterbook.domain.local_days import local_day, time_zone
from meterbook.exports.recovery_json import write_recovery_file
from meterbook.storage.database import Database

RECOVERY_FOLDER = "recovery"
FILES_PER_RUN_MAX = 40  # a flood of old readings must not keep the job busy for hours


def write_recovery_files(
    database: Database, *, data_dir: Path, now: int, days_kept: int
) -> list[Path]:
    """Write the newest days' files, remove those older than days_kept, return what was written."""
    folder = data_dir / RECOVERY_FOLDER
    written = []
    with database.reading() as connection:
        starts = daybook.open_interval_starts(connection, starts_at=0, ends_at=now + 86_400)
        known = [time_zone(name) for name in zones(connection)]
        days = sorted({local_day(start, zone) for start in starts for zone in known})
        for day in days[-FILES_PER_RUN_MAX:]:
            path = folder / f"recovery-{day.isoformat()}.json"
            write_recovery_file(connection, path, day=day, zones=known)
            written.append(path)
    _remove_old(folder, keep=set(written), today=local_day(now, time_zone("UTC")), days=days_kept)
    return written


def _remove_old(folder: Path, *, keep: set[Path], today: date, days: int) -> None:
    for path in folder.glob("recovery-*.json"):
        try:
            day = date.fromisoformat(path.stem.removeprefix("recovery-"))
        except ValueError:
            continue
        if path not in keep and (today - day).days > days:
            path.unlink(missing_ok=True)
