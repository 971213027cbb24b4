"""A started server on each engine with an account that has keys."""

from collections.abc import Iterator
from typing import Any

import pytest

from callers import client_of, signed_in
from device_owners import Owner
from meterbook.registry.accounts import Role
from meterbook.storage.database import Database
from servers import running_server


@pytest.fixture(scope="module")
def owner(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """Give an account with keys on a started server."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, database_url=module_database_url) as server:
        book = Database(module_database_url)
        account, token = signed_in(book, "owner", role=Role.HOUSEHOLD)
        with client_of(server.url, token) as api:
            keys: dict[str, Any] = {
                form: api.post("/user/device-keys", json={"label": f"my {form}", "form": form})
                for form in ("hex32", "token20", "uuid")
            }
        shown = {form: answer.json()["key"] for form, answer in keys.items()}
        yield Owner(server, book, account.id, token, **shown)
        book.close()
