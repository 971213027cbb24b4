"""The pages of sites and hosts in a real browser: they fit, can be read, and lead to each other."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from callers import PASSWORD
from meterbook.registry.solar_arrays import add_array
from meterbook.storage.database import Database
from polled import solar_home_until
from servers import Server, running_server
from watched_pages import SCHEMES, WIDTHS, must_be_good, sign_in, watched_page


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server with a solar home that was read until now."""
    folder = tmp_path_factory.mktemp("sites")
    url = f"sqlite:///{folder / 'meterbook.sqlite'}"
    shutil.copyfile(sqlite_template, folder / "meterbook.sqlite")
    database = Database(url)
    now = int(time.time())
    made = solar_home_until(database, now=now)
    roof = {"name": "roof", "peak_W": 6_000, "tilt_deg": 30.0, "azimuth_deg": 180.0}
    with database.writing() as connection:
        add_array(connection, location_id=made.location_id, fields=roof, by=None, now=now)
    database.close()
    with running_server(folder / "data", database_url=url) as started:
        yield started


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_from_the_list_to_a_site_to_a_host_to_a_measurement(
    browser: Browser, server: Server, width: int, scheme: str
) -> None:
    with watched_page(browser, server, width=width, scheme=scheme) as page:
        page.goto("/sites")
        sign_in(page, "anna", PASSWORD)
        must_be_good(page)
        with page.expect_navigation():
            page.click("main h2 a")
        assert page.locator(".flow-drawing").count() >= 1
        must_be_good(page)
        with page.expect_navigation():
            page.click("main table a:text-is('sdm630')")
        assert "No answer in time" in page.inner_text("main")
        must_be_good(page)
        with page.expect_navigation():
            page.click("main a:text-is('Active energy consumed')")
        assert page.inner_text(".chart h2") == "Active energy consumed"
        page.click(".behind summary")
        must_be_good(page)
