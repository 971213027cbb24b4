"""Problems: a page for a browser, problem+json for a program."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import sqlalchemy as sa

from callers import session_of, signed_in
from meterbook.access import SESSION_COOKIE
from meterbook.storage.database import Database
from meterbook.storage.tables import tokens
from servers import running_server


def test_a_browser_gets_a_page_and_a_program_the_document(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        page = httpx.get(f"{server.url}/nowhere", headers={"Accept": "text/html"})
        document = httpx.get(f"{server.url}/nowhere", headers={"Accept": "application/json"})
        refused = httpx.get(f"{server.url}/profile", headers={"Accept": "application/json"})

    assert page.status_code == document.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>Not found</h1>" in page.text
    assert document.headers["content-type"] == "application/problem+json"
    assert document.json()["status"] == 404
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Token")


def test_a_page_of_a_problem_that_must_wait_for_the_database_keeps_nobody_else_waiting(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    account, _ = signed_in(sqlite_database, "anna")
    cookie = f"{SESSION_COOKIE}={session_of(sqlite_database, account)}"
    with sqlite_database.writing() as connection:  # so that its use is noted down
        connection.execute(sa.update(tokens).values(used_at=tokens.c.used_at - 600))
    with (
        running_server(tmp_path / "data", database_url=sqlite_url) as server,
        ThreadPoolExecutor() as beside,
        httpx.Client(base_url=server.url, headers={"Accept": "text/html"}, timeout=60) as browser,
    ):
        with sqlite_database.writing():
            headers = {"Cookie": cookie}
            waiting = [beside.submit(browser.get, "/nowhere", headers=headers) for _ in range(2)]
            for _ in range(20):
                assert httpx.get(f"{server.url}/health/live", timeout=10).status_code == 200
        for page in waiting:
            assert page.result().status_code == 404
            assert "anna" in page.result().text
