"""The pages of sites and hosts in a real browser: they fit, can be read, and lead to each other."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from callers import session_of
from meterbook.intake.host_recorder import HostRecorder
from meterbook.registry.accounts import account_by_name
from meterbook.registry.solar_arrays import add_array
from meterbook.storage.database import Database
from polled import poll, solar_home_until
from servers import Server, running_server
from watched_pages import must_be_good, wait_until, watched_page


@pytest.fixture(scope="module")
def book(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give the book of a solar home that was read until now."""
    folder = tmp_path_factory.mktemp("sites")
    shutil.copyfile(sqlite_template, folder / "meterbook.sqlite")
    database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
    now = int(time.time())
    made = solar_home_until(database, now=now)
    roof = {"name": "roof", "peak_W": 6_000, "tilt_deg": 30.0, "azimuth_deg": 180.0}
    with database.writing() as connection:
        add_array(connection, location_id=made.location_id, fields=roof, by=None, now=now)
    yield database
    database.close()


@pytest.fixture(scope="module")
def session(book: Database) -> str:
    """Give a session of anna, whose home it is."""
    with book.reading() as connection:
        anna, _ = account_by_name(connection, username="anna")
    assert anna
    return session_of(book, anna)


@pytest.fixture(scope="module")
def server(book: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server of the book."""
    folder = tmp_path_factory.mktemp("sites-server")
    url = book.url.render_as_string(hide_password=False)
    with running_server(folder / "data", database_url=url) as started:
        yield started


def test_from_the_list_to_a_site_to_a_host_to_a_measurement(
    browser: Browser, server: Server, session: str
) -> None:
    with watched_page(browser, server, scheme="dark", session=session) as page:
        page.goto("/sites")
        must_be_good(page)
        with page.expect_navigation():
            page.click("main h2 a")
        assert page.locator(".flow-drawing").count() >= 1
        must_be_good(page)
        with page.expect_navigation():
            page.click("main table a:text-is('sdm630')")
        assert "No answer in time" in page.inner_text("main")
        must_be_good(page, axe=False)
        with page.expect_navigation():
            page.click("main a:text-is('Active energy consumed')")
        assert page.inner_text(".chart h2") == "Active energy consumed"
        page.click(".behind summary")
        must_be_good(page)


def test_a_poll_moves_the_open_pages_of_the_host_and_of_its_site(
    browser: Browser, server: Server, book: Database, session: str
) -> None:
    with watched_page(browser, server, session=session) as page:
        for path, power in (("/sites/1", 777_000), ("/hosts/1", 888_000)):
            page.goto(path)
            page.wait_for_selector("html[data-live=open]", state="attached")
            before = page.inner_text("main")
            amounts = {"active_energy_consumed": 6_210, "active_power": power}
            HostRecorder(book).record([poll(1, time.time(), amounts)])
            wait_until(page, f"document.querySelector('main').innerText !== {json.dumps(before)}")
