"""Recovery files: what is written can be restored, and nothing newer is lost by it."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from books import ledger_content, record_packets
from imports import NOW, REQUEST, imported, refused
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, midnight
from meterbook.exports.recovery_json import write_recovery_file
from meterbook.imports import run_import
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.recovery_files import write_recovery_files
from meterbook.ledger import decode_intervals
from meterbook.registry.import_log import logged_imports
from meterbook.storage.database import Database

DAY = date(2025, 2, 8)


def exported(database: Database, path: Path, *, day: date, zone: ZoneInfo) -> dict[str, object]:
    with database.reading() as connection:
        write_recovery_file(connection, path, day=day, zones=[zone])
    content: dict[str, object] = msgspec.json.decode(path.read_bytes())
    return content


def with_day(database: Database, day: date, zone: str) -> None:
    starts = interval_starts(day, ZoneInfo(zone))
    packets = [
        Packet(meter, start + 1860, 1000 * (meter % 10) + i)
        for meter in (7, 999_999_999)
        for i, start in enumerate(starts)
        if i != 5
    ]
    record_packets(database, packets, zone=zone)


@pytest.mark.parametrize(
    ("day", "zone"),
    [
        (date(2025, 2, 8), "UTC"),
        (date(2024, 10, 27), "Europe/London"),
        (date(2024, 3, 31), "Europe/Warsaw"),
        (date(2024, 4, 7), "Australia/Lord_Howe"),
    ],
)
def test_a_restored_day_is_the_day_that_was_written(
    database: Database, second_database: Database, tmp_path: Path, day: date, zone: str
) -> None:
    with_day(second_database, day, zone)
    path = tmp_path / f"recovery-{day}.json"
    content = exported(second_database, path, day=day, zone=ZoneInfo(zone))

    imported("recovery", database, path, zone=zone)

    close_day(second_database, day=day, zone=ZoneInfo(zone), now=NOW)
    assert ledger_content(database) == ledger_content(second_database)
    again = exported(database, tmp_path / "again.json", day=day, zone=ZoneInfo(zone))
    assert again == content


def test_the_repeated_hour_of_autumn_and_the_last_half_hour_keep_their_places(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "recovery-2024-10-27.json"
    path.write_text('{"1": {"01:31": 1, "01:31+00:00": 2, "00:01": 3}}')
    zone = ZoneInfo("Europe/London")

    imported("recovery", sqlite_database, path, zone=zone.key)

    again = exported(sqlite_database, tmp_path / "a.json", day=date(2024, 10, 27), zone=zone)
    assert again == {"1": {"01:31": 1.0, "01:31+00:00": 2.0, "00:01": 3.0}}
    packed = ledger_content(sqlite_database)[0][3]
    assert isinstance(packed, bytes)
    amounts = decode_intervals(packed)
    assert [i for i, amount in enumerate(amounts) if amount is not None] == [2, 4, 49]


def test_the_open_day_is_restored_into_the_daybook(
    database: Database, second_database: Database, tmp_path: Path
) -> None:
    utc = ZoneInfo("UTC")
    begins_at = NOW - NOW % 86_400
    record_packets(second_database, [Packet(1, begins_at + 1860, 700)])
    [path] = write_recovery_files(second_database, data_dir=tmp_path, now=NOW, days_kept=14)

    line = imported("recovery", database, path)

    day = date.fromisoformat(path.stem.removeprefix("recovery-"))
    assert midnight(day, utc) == begins_at
    assert exported(database, tmp_path / "b.json", day=day, zone=utc) == {"1": {"00:31": 0.7}}
    assert "1 of days that are not over" in line[0]


def test_a_different_reading_in_the_book_stands_and_is_reported(
    database: Database, tmp_path: Path
) -> None:
    with_day(database, DAY, "UTC")
    close_day(database, day=DAY, zone=ZoneInfo("UTC"), now=NOW)
    before = ledger_content(database)
    path = tmp_path / "old.json"
    path.write_text('{"7": {"00:31": 7, "01:01": 99.5}}')

    [line] = imported("recovery", database, path, day=DAY)

    assert ledger_content(database) == before
    assert "1 different from the book, which stands" in line


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('{"7": {"00:31": 1},\n"8": {"25:31": 1}}', "line 2, column 7", "has no packet"),
        ('{"7": {"00:31": "x"}}', "line 1, column 8", "is not an energy"),
        ('{"7": {"00:31": -1}}', "line 1, column 8", "is not between 0 and 1000"),
        ('{"7": {"00:31": 1e999999}}', "line 1, column 8", "is not between"),
        ('{"7": {"00:31": NaN}}', "line 1", "NaN is not JSON"),
        ('{"7": {"00:31": true}}', "line 1, column 8", "is not an energy"),
        ('{"7": {"00:31": 1, "00:31": 2}}', "line 1", "same key twice"),
        ('{"7": {}, "007": {}}', "line 1, column 11", "same meter is there twice"),
        ('{"0": {}}', "line 1, column 2", "meter ID must be"),
        ('{"7": 5}', "line 1, column 2", "must be an object"),
        ("[1]", "line 1", "must be one object"),
        ('{"7": {"00:31": 1}', "line 1, column 19", "is not JSON"),
        ("[" * 100_000, "line 1", "nested too deeply"),
        ('{\n"7": {"00:31":1},\n"8": {"00:31":1', "line 3", "is not JSON"),
        ('{\n"7": {"00:31":1},\n', "line 3", "must go on"),
        ('{\n"7": {"00:31":1}\n"8": {}\n}\n', "line 3", "must end with }"),
        ('{\n"7": {"00:31":1},\n"8": {"00:32":1}\n}\n', "line 3, column 8", "has no packet"),
        ("", "line 1", "is not JSON"),
    ],
)
def test_a_broken_file_stores_nothing_and_is_named(
    sqlite_database: Database, tmp_path: Path, text: str, place: str, reason: str
) -> None:
    path = tmp_path / "recovery-2025-02-08.json"
    path.write_text(text)

    [line] = refused("recovery", sqlite_database, path)

    assert str(path) in line
    assert place in line
    assert reason in line
    assert ledger_content(sqlite_database) == []


def test_a_name_without_a_day_asks_for_one(sqlite_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "day.json"
    path.write_text('{"1": {}}')

    [line] = refused("recovery", sqlite_database, path)

    assert "say its day" in line


def test_a_day_in_the_future_is_refused(sqlite_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "recovery-2099-01-01.json"
    path.write_text('{"1": {"00:31": 1}}')

    [line] = refused("recovery", sqlite_database, path)

    assert "is in the future" in line


def test_the_report_is_that_of_every_format(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "recovery-2025-02-08.json"
    path.write_text('{"7": {"00:31": 1.5, "01:01": 0.5},\n"8": {"00:31": -1}}')
    request = msgspec.structs.replace(REQUEST, format="auto")
    assert run_import(database, path, request).problem == (
        f"{path}: line 2, column 7: is not between 0 and 1000 kWh"
    )
    some = msgspec.structs.replace(request, partial=True)
    dry = run_import(database, path, msgspec.structs.replace(some, dry_run=True))
    assert ledger_content(database) == []
    stored = run_import(database, path, some)
    assert msgspec.structs.replace(stored, status="checked") == dry
    assert (stored.format, stored.book_stands, stored.readings) == ("recovery", True, 2)
    [series] = stored.series
    assert (series.meter_id, series.is_new, series.energy_kwh) == (7, True, 2.0)
    assert (stored.new_days, stored.rejected, stored.rejected_lines[0].line) == (1, 1, 2)
    with database.reading() as connection:
        [logged] = logged_imports(connection)
    assert logged.report == stored


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"own_meters": frozenset({8})}, "is about meters that are not yours (7, ...)"),
        ({"meters": {"": 7}}, "calls its meters by our numbers"),
        ({"own_meters": frozenset({7}), "format": "masterdb"}, "which only operators may import"),
    ],
    ids=["another's", "renamed", "master database"],
)
def test_what_a_caller_may_not_import_is_refused(
    sqlite_database: Database, tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    path = tmp_path / "recovery-2025-02-08.json"
    path.write_text('{"7": {"00:31": 1.5}}')
    [line] = refused(str(changes.pop("format", "recovery")), sqlite_database, path, **changes)
    assert problem in line
    assert ledger_content(sqlite_database) == []
