"""The master database in the seed's form, both ways."""

import io
from datetime import date
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from books import ledger_content, record_packets
from imports import KEY, NOW, UTC, imported, refused, totals
from meterbook.day_close import close_day, days_to_close
from meterbook.domain.local_days import day_number, interval_starts, numbered_day
from meterbook.domain.units import wh_to_kwh
from meterbook.exports.master_json import write_master_database
from meterbook.intake.packet_fields import Packet
from meterbook.registry.personal_data import PersonalData, customer_of
from meterbook.storage.database import Database
from meterbook.storage.metadata import metadata
from meterbook.storage.tables import (
    superseded_readings,
)

SEED = """{
"999999999": {
"name": "Aashima",
"fin_no": "A3389127I",
"previous_day": {
"00:31": 8.33,
"00:01": 4.73,
"01:31": 8.7,
"23:31": 2.59
},
"2025-02-11": 187.14,
"2025-01-23": 177.93,
"2025-01-22": 219.14,
"2024-12-14": 198.41
},
"555555555": {
"name": "Carlos",
"fin_no": "A1234567I",
"previous_day": {
"00:31": 5.99,
"22:01": 3.64,
"23:31": 6.74
},
"2025-02-11": 112.96,
"2025-02-10": 158.12,
}
}"""


def exported(database: Database, personal: PersonalData | None = None) -> bytes:
    out = io.BytesIO()
    with database.reading() as connection:
        write_master_database(connection, out, personal=personal)
    return out.getvalue()


def emptied(database: Database) -> None:
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))


def close_all(database: Database) -> None:
    with database.reading() as connection:
        days = days_to_close(connection, zone=UTC, due_at=NOW, late_before=NOW)
    for day in days:
        close_day(database, day=day, zone=UTC, now=NOW)


def test_the_seeds_own_print_is_taken_with_its_last_comma(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "masterDB.json"
    path.write_text(SEED)

    [line] = imported("masterdb", database, path)

    assert totals(database) == {
        (999_999_999, day_number(date(2025, 2, 11))): 187_140,
        (999_999_999, day_number(date(2025, 1, 23))): 177_930,
        (999_999_999, day_number(date(2025, 1, 22))): 219_140,
        (999_999_999, day_number(date(2024, 12, 14))): 198_410,
        (555_555_555, day_number(date(2025, 2, 11))): 112_960,
        (555_555_555, day_number(date(2025, 2, 10))): 158_120,
    }
    assert "2 meters whose previous_day does not add up" in line
    assert "2 FINs with a wrong form or check letter" in line
    with database.reading() as connection:
        assert customer_of(connection, KEY, meter_point_id=2) == ("Aashima", "A3389127I")
        kept = connection.scalars(sa.select(superseded_readings.c.amount)).all()
    assert sorted(kept) == [2590, 3640, 4730, 5990, 6740, 8330, 8700]


def test_importing_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "masterDB.json"
    path.write_text(SEED)
    imported("masterdb", database, path)
    before = exported(database, KEY), ledger_content(database)

    [line] = imported("masterdb", database, path)

    assert (exported(database, KEY), ledger_content(database)) == before
    assert "0 new days" in line
    with database.reading() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(superseded_readings))
    assert count == 7


energies = st.integers(0, 10**6)
half_hours = st.dictionaries(st.integers(0, 47), energies, max_size=48)
meters = st.dictionaries(
    st.integers(1, 999_999_999),
    st.tuples(st.dictionaries(st.integers(18_000, 20_000), energies, max_size=4), half_hours),
    max_size=4,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(meters)
def test_what_was_exported_has_the_same_totals_in_an_empty_book(
    sqlite_database: Database,
    tmp_path: Path,
    book: dict[int, tuple[dict[int, int], dict[int, int]]],
) -> None:
    emptied(sqlite_database)
    entries: dict[str, dict[str, object]] = {}
    for meter_id, (days, halves) in book.items():
        entry: dict[str, object] = {"previous_day": {}}
        if halves:
            newest = max([*days, 20_000]) + 1
            starts = interval_starts(numbered_day(newest), UTC)
            record_packets(
                sqlite_database,
                [Packet(meter_id, starts[i] + 1860, wh) for i, wh in halves.items()],
            )
        entries[str(meter_id)] = entry | {
            numbered_day(day).isoformat(): wh_to_kwh(wh) for day, wh in days.items()
        }
    first = tmp_path / "first.json"
    first.write_bytes(msgspec.json.encode(entries))
    imported("masterdb", sqlite_database, first)
    close_all(sqlite_database)
    expected, content = totals(sqlite_database), exported(sqlite_database)
    second = tmp_path / "second.json"
    second.write_bytes(content)
    emptied(sqlite_database)

    imported("masterdb", sqlite_database, second)

    assert totals(sqlite_database) == expected
    assert msgspec.json.decode(exported(sqlite_database)) == msgspec.json.decode(content)
    sums = {(m, d): wh for m, (days, _) in book.items() for d, wh in days.items()}
    assert sums.items() <= expected.items()


def test_the_book_stands_where_the_file_says_something_else(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"1": {"name": "A", "2025-02-11": 1.5}}')
    imported("masterdb", database, path)
    path.write_text('{"1": {"name": "B", "2025-02-11": 2.5, "2025-02-10": 1}}')

    [line] = imported("masterdb", database, path)

    assert sorted(totals(database).values()) == [1000, 1500]
    assert "1 different from the book" in line
    assert "1 customers different from the book" in line


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('{"1": {"2099-01-01": 5}}', "line 1, column 8", "is a day that is not over"),
        ('{"1": {"2025-2-1": 5}}', "line 1, column 8", "is not name, fin_no"),
        ('{"1": {"20250201": 5}}', "line 1, column 8", "is not a date such as"),
        ('{"1": {"1969-01-01": 5}}', "line 1, column 8", "is not a date such as"),
        ('{"1": {"2025-02-01": null}}', "line 1, column 8", "is not an energy"),
        ('{"1": {"2025-02-01": 50001}}', "line 1, column 8", "is not between"),
        ('{"1": {"name": 5}}', "line 1, column 8", "must be text"),
        ('{"1": {"previous_day": 5}}', "line 1, column 8", "must be an object"),
        ('{"1": {"previous_day": {"00:31": 1}}}', "line 1, column 8", "but no date"),
        (
            '{"1": {"previous_day": {"00:30": 1}, "2025-02-01": 1}}',
            "line 1, column 25",
            "has no packet",
        ),
    ],
)
def test_a_broken_file_stores_nothing_and_is_named(
    sqlite_database: Database, tmp_path: Path, text: str, place: str, reason: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)

    [line] = refused("masterdb", sqlite_database, path)

    assert place in line
    assert reason in line
    assert totals(sqlite_database) == {}


def test_a_dry_run_checks_and_stores_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(SEED)

    [line] = imported("masterdb", database, path, dry_run=True)

    assert "checked, nothing stored (masterdb): 6 readings of 2 series, 6 new days" in line
    assert totals(database) == {}
    assert exported(database) == b"{\n}\n"


def test_names_and_fins_leave_only_where_they_are_asked_for(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(SEED)
    imported("masterdb", sqlite_database, path)

    assert not any(secret in exported(sqlite_database) for secret in (b"Aashima", b"A3389127I"))
    content = msgspec.json.decode(exported(sqlite_database, KEY))
    assert list(content["999999999"])[:3] == ["name", "fin_no", "previous_day"]
    assert content["999999999"]["fin_no"] == "A3389127I"


def test_half_a_character_is_no_name(sqlite_database: Database, tmp_path: Path) -> None:
    file = tmp_path / "master.json"
    file.write_text('{"7": {"name": "\\ud800", "2025-02-01": 5}}')
    [line] = refused("masterdb", sqlite_database, file)
    assert line.endswith("line 1, column 8: holds half a character")
