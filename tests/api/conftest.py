"""A started server on each engine, and its database."""

from collections.abc import Iterator

import pytest

from meterbook.storage.database import Database
from servers import Server, running_server

SETTINGS = {"registrations_per_minute": "100000", "wrong_sign_ins_per_minute": "50"}


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a started server that lets tests register and mistype as often as they like."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, database_url=module_database_url, settings=SETTINGS) as started:
        yield started


@pytest.fixture(scope="module")
def book(module_database_url: str, server: Server) -> Iterator[Database]:
    """Give the server's database."""
    opened = Database(module_database_url)
    yield opened
    opened.close()
