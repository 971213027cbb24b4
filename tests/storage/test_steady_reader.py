"""A reader that keeps its connection: each transaction sees what was committed before it."""

import pytest
import sqlalchemy as sa

from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.tables import meters

_COUNT = sa.select(sa.func.count()).select_from(meters)


def _add(database: Database, meter: int) -> None:
    with database.writing() as connection:
        add_meters(connection, [meter], zone="UTC", now=0)


def test_each_transaction_sees_one_state_and_the_next_one_what_came(database: Database) -> None:
    reader = database.steady_reader()
    for meter in (1, 2, 3):
        with reader.reading() as connection:
            assert connection.execute(_COUNT).scalar_one() == meter - 1
            _add(database, meter)
            assert connection.execute(_COUNT).scalar_one() == meter - 1
    with reader.reading() as connection:
        assert connection.execute(_COUNT).scalar_one() == 3
    reader.close()


def test_it_cannot_write_and_reads_on_after_an_error(database: Database) -> None:
    reader = database.steady_reader()
    for _ in range(20):  # more than there are connections
        with pytest.raises(sa.exc.DBAPIError), reader.reading() as connection:
            connection.execute(meters.delete())
    _add(database, 1)
    with reader.reading() as connection:
        assert connection.execute(_COUNT).scalar_one() == 1
    reader.close()


def test_it_reads_on_after_the_server_has_ended_its_connection(postgres_url: str) -> None:
    database = Database(postgres_url)
    reader = database.steady_reader()
    with reader.reading() as connection:
        process = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with database.writing() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:process)"), {"process": process})
    with pytest.raises(sa.exc.DBAPIError), reader.reading() as connection:
        connection.execute(_COUNT)
    with reader.reading() as connection:
        assert connection.execute(_COUNT).scalar_one() == 0
    reader.close()
    database.close()
