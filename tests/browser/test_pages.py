"""The pages in a real browser: Debian's Chromium, driven by Playwright."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from books import record_packets
from callers import PASSWORD, signed_in
from meterbook.intake.packet_fields import Packet
from meterbook.registry.meters import claim_meters
from meterbook.storage.database import Database
from servers import Server, running_server
from services import need, program

MIDNIGHT = 1_739_059_200  # 2025-02-09T00:00Z
WIDTHS = (360, 1280)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a headless Chromium that asks nobody but the server."""
    path = program("chromium")
    need(path, "Chromium")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=quiet)
        yield opened
        opened.close()


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path) -> Iterator[Server]:
    """Give a server on which anna owns meter 999-999-999, which has one day of readings."""
    database = Database(sqlite_url)
    record_packets(
        database, [Packet(999_999_999, MIDNIGHT + 1860 + 1800 * i, 100 + i) for i in range(47)]
    )
    account, _ = signed_in(database, "anna")
    with database.writing() as connection:
        claim_meters(connection, [999_999_999], account_id=account.id, now=MIDNIGHT)
    database.close()
    with running_server(tmp_path / "data", database_url=sqlite_url) as started:
        yield started


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_household_signs_in_reads_its_consumption_and_signs_out(
    browser: Browser, server: Server, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        base_url=server.url,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("requestfailed", lambda request: _must_be_cut_short(request, complaints))
    page.on("request", lambda request: _must_be_ours(request.url, server, complaints))

    page.goto("/profile/999-999-999")
    page.fill("#username", "anna")
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.click("main button[type=submit]")
    assert page.url.endswith("/profile/999-999-999")
    _must_fit(page, width)

    page.goto("/profile/999-999-999/consumption?from=2025-02-09&to=2025-02-10")
    assert "5.781 kWh" in page.inner_text("main")
    assert page.locator("tr.is-missing").count() == 1
    _must_fit(page, width)
    for tab in range(page.locator(".tabs a").count()):
        with page.expect_navigation():
            page.locator(".tabs a").nth(tab).click()
        assert page.locator(".tabs a[aria-current=page]").count() == 1
        _must_fit(page, width)

    page.click("details.menu summary")
    with page.expect_navigation():
        page.click("text=Sign out")
    page.goto("/profile/999-999-999")
    assert "/sign-in" in page.url
    assert complaints == []
    context.close()


def test_a_meter_of_somebody_else_is_not_found(browser: Browser, server: Server) -> None:
    page = browser.new_page(base_url=server.url)
    page.goto("/profile/1")
    page.fill("#username", "anna")
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.click("main button[type=submit]")
    assert "Not found" in page.inner_text("main")
    page.close()


def _must_fit(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def _must_be_cut_short(request: Request, complaints: list[str]) -> None:
    # Leaving a page cuts short what it was still loading, such as its icon: no fault of ours.
    if request.failure != "net::ERR_ABORTED":
        complaints.append(f"{request.url}: {request.failure}")


def _must_be_ours(url: str, server: Server, complaints: list[str]) -> None:
    if not url.startswith(server.url):
        complaints.append(f"asked {url}")
