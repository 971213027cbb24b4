"""Rows past SQLAlchemy: the same as with it, on both engines, errors included."""

import pytest
import sqlalchemy as sa

from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.dialects import joined, number_source, numbers
from meterbook.storage.driver_rows import driver_rows
from meterbook.storage.tables import channels, installations

_BY_NAMES = sa.text("""
    SELECT meter_id, meter_id % 2, '100 %', :word FROM installations
    WHERE meter_id >= :least AND meter_id < :least + 10 AND :word <> '%s' ORDER BY meter_id
""").bindparams(sa.bindparam("word", type_=sa.Text), sa.bindparam("least", type_=sa.Integer))
_BUILT = (
    sa.select(installations.c.meter_id, channels.c.zone)
    .join(channels, channels.c.id == installations.c.channel_id)
    .where(installations.c.meter_id == sa.bindparam("meter"), channels.c.unit.like("W%"))
)


@pytest.fixture
def book(database: Database) -> Database:
    with database.writing() as connection:
        add_meters(connection, [5, 6, 7, 16], zone="Europe/London", now=0)
    return database


def test_rows_are_those_that_sqlalchemy_gives(book: Database) -> None:
    asked: list[tuple[sa.Executable, dict[str, object]]] = [
        (_BY_NAMES, {"word": "o'clock ?", "least": 6}),
        (_BUILT, {"meter": 16}),
    ]
    with book.reading() as connection:
        for statement, parameters in asked:
            for _ in range(2):
                rows = driver_rows(connection, statement, parameters)
                assert rows == [tuple(row) for row in connection.execute(statement, parameters)]
        assert driver_rows(connection, _BUILT, {"meter": 16}) == [(16, "Europe/London")]
        assert driver_rows(connection, _BUILT, {"meter": 8}) == []


def test_rows_are_of_the_same_transaction(book: Database) -> None:
    with book.writing() as connection:
        add_meters(connection, [8], zone="Europe/London", now=0)
        assert driver_rows(connection, _BUILT, {"meter": 8}) == [(8, "Europe/London")]
        connection.rollback()
    with book.reading() as connection:
        assert driver_rows(connection, _BUILT, {"meter": 8}) == []


def test_what_the_driver_raises_is_told_as_the_databases_error(book: Database) -> None:
    wrong = sa.text("SELECT nothing FROM installations WHERE meter_id = :meter")
    with book.reading() as connection, pytest.raises(sa.exc.DBAPIError) as raised:
        driver_rows(connection, wrong, {"meter": 424_242})
    assert "424242" not in str(raised.value)
    with book.reading() as connection:
        assert len(driver_rows(connection, _BUILT, {"meter": 5})) == 1


@pytest.mark.parametrize("wanted", [[], [7], [5, 6, 7, 8]])
def test_joined_columns_come_back_as_numbers(book: Database, wanted: list[int]) -> None:
    with book.reading() as connection:
        name = connection.dialect.name
        statement = sa.text(f"""
            SELECT {joined(name, "meter_id", "-meter_id")}
            FROM {number_source(name, name="ids")} CROSS JOIN installations
            WHERE meter_id = ids.value
        """)  # noqa: S608 our own names
        [texts] = driver_rows(connection, statement, {"ids": numbers(connection, wanted)})
    found, negated = (
        [int(digits) for digits in (text or "").split(",") if digits] for text in texts
    )
    assert sorted(found) == [meter for meter in wanted if meter != 8]
    assert negated == [-meter for meter in found]
