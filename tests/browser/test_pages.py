"""The household's pages in a real browser: every page, every period, by mouse and by keyboard."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from books import record_packets
from callers import PASSWORD, client_of, session_of, signed_in
from meterbook.intake.packet_fields import Packet
from meterbook.registry.meters import claim_meters
from meterbook.storage.database import Database
from servers import Server, running_server
from watched_pages import must_be_good, sign_in, sign_out, wait_until, watched_page

MIDNIGHT = 1_739_059_200  # 2025-02-09T00:00Z
METER = "/profile/999-999-999"
DAY = f"{METER}/consumption?from=2025-02-09&to=2025-02-10"
NEW_METER = "123-456-789"
_DRAWN = (
    "[...document.querySelectorAll('.chart-canvas')]"
    ".map((canvas) => canvas.data.map((trace) => [...(trace.y ?? [])]))"
)
GOOD = {
    "meter_id": NEW_METER,
    "fin": "S1234567D",
    "street": "Orchard Road",
    "number": "7",
    "zip_code": "238841",
    "city": "Singapore",
    "username": "bert",
    "email": "bert@example.com",
    "password": PASSWORD,
}


@pytest.fixture(scope="module")
def opened(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str]]:
    """Give a server on which meter 999-999-999 has one day, and a session of anna, its owner."""
    folder = tmp_path_factory.mktemp("pages")
    url = f"sqlite:///{folder / 'meterbook.sqlite'}"
    shutil.copyfile(sqlite_template, folder / "meterbook.sqlite")
    database = Database(url)
    record_packets(
        database, [Packet(999_999_999, MIDNIGHT + 1860 + 1800 * i, 100 + i) for i in range(47)]
    )
    account, _ = signed_in(database, "anna")
    with database.writing() as connection:
        claim_meters(connection, [999_999_999], account_id=account.id, now=MIDNIGHT)
    session = session_of(database, account)
    database.close()
    with running_server(folder / "data", database_url=url) as started:
        yield started, session


@pytest.fixture(scope="module")
def server(opened: tuple[Server, str]) -> Server:
    """Give the server."""
    return opened[0]


@pytest.fixture(scope="module")
def session(opened: tuple[Server, str]) -> str:
    """Give the session."""
    return opened[1]


def test_a_household_signs_in_reads_its_consumption_and_signs_out(
    browser: Browser, server: Server
) -> None:
    with watched_page(browser, server, width=360) as page:
        for path in ("/", "/register", METER):  # the last one leads to the sign-in page
            page.goto(path)
            must_be_good(page)
        sign_in(page, "anna", PASSWORD)
        assert page.url.endswith(METER)
        must_be_good(page)
        page.goto("/profile")
        must_be_good(page)

        page.goto(DAY)
        assert "5.781" in page.inner_text(".total")
        page.click(".behind summary")
        assert page.locator("#energy ~ details tr.is-missing").count() == 1
        must_be_good(page)
        for tab in range(page.locator(".periods a").count()):
            with page.expect_navigation():
                page.locator(".periods a").nth(tab).click()
            assert page.locator(".periods a[aria-current=page]").count() == 1
            must_be_good(page, axe=False)
        page.goto(f"{METER}/consumption?from=2025-02-01&to=2025-03-01")
        must_be_good(page)

        sign_out(page)
        page.goto(METER)
        assert "/sign-in" in page.url


def test_a_chart_shows_what_is_missing_and_follows_from_light_to_dark(
    browser: Browser, server: Server, session: str
) -> None:
    with watched_page(browser, server, session=session) as page:
        page.goto(DAY)
        must_be_good(page)
        assert page.locator("#energy .barlayer .point").count() > 47
        assert page.locator(".legend .swatch-missing").count() == 1
        light = _bar_colours(page)
        assert "rgb(31, 106, 165)" in light
        page.emulate_media(color_scheme="dark")
        wait_until(
            page,
            "[...document.querySelectorAll('#energy .barlayer .point path')]"
            ".some((path) => path.style.fill === 'rgb(109, 179, 236)')",
        )


def test_a_free_range_and_a_resolution_are_in_the_address(
    browser: Browser, server: Server, session: str
) -> None:
    with watched_page(browser, server, session=session, width=360) as page:
        page.goto(f"{METER}/consumption")
        page.fill("#from", "2025-02-03")
        page.fill("#last", "2025-02-09")
        with page.expect_navigation():
            page.click(".range button")
        assert page.url.endswith("?from=2025-02-03&to=2025-02-10")
        with page.expect_navigation():
            page.click(".resolutions a:text-is('Hours')")
        assert page.url.endswith("?from=2025-02-03&to=2025-02-10&resolution=hour")
        with page.expect_navigation():
            page.click("[rel=prev]")
        assert page.url.endswith("?from=2025-01-27&to=2025-02-03")
        must_be_good(page)
        with page.expect_download() as started:
            page.click("a[download] >> nth=0")
        assert started.value.suggested_filename.endswith(".csv")


def test_registering_says_what_is_wrong_keeps_what_was_entered_and_claims_the_meter(
    browser: Browser, server: Server
) -> None:
    with watched_page(browser, server, width=360) as page:
        page.goto("/register")
        _fill(page, GOOD | {"fin": "S1234567A", "meter_id": "999-999-999-9"})
        _submit(page)
        assert page.locator(".wrong").count() == 2
        assert page.input_value("#fin") == "S1234567A"
        assert page.input_value("#password") == ""
        assert page.evaluate("document.activeElement.id") == "meter_id"
        must_be_good(page)

        _fill(page, GOOD | {"meter_id": "999-999-999"})
        _submit(page)
        assert "cannot be claimed" in page.inner_text("#meter_id-wrong")
        assert "anna" not in page.content()

        _fill(page, GOOD)
        _submit(page)
        assert page.url.endswith(f"/profile/{NEW_METER}")
        must_be_good(page)
        page.fill("#name", "Garage <b>")
        with page.expect_navigation():
            page.click("section:has(#name) button")
        assert page.inner_text("h1") == "Garage <b>"
        page.goto("/profile")
        must_be_good(page)
        assert "Garage <b>" in page.inner_text("main")
        sign_out(page)


def test_the_main_way_needs_no_mouse(browser: Browser, server: Server) -> None:
    with watched_page(browser, server) as page:
        page.goto(METER)
        page.keyboard.type("anna")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        with page.expect_navigation():
            _tab_to(page, "Consumption in detail")
        with page.expect_navigation():
            _tab_to(page, "This month")
        assert "period=current-month" in page.url
        with page.expect_navigation():
            _sign_out_by_keyboard(page)
        assert page.url == f"{server.url}/"


def test_pages_work_without_javascript(browser: Browser, server: Server) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=server.url)
    page = context.new_page()
    page.goto(DAY)
    sign_in(page, "anna", PASSWORD)
    page.click(".behind summary")
    assert page.locator("#energy ~ details tbody tr").count() == 48
    assert "Graphs need JavaScript" in page.inner_text("main")
    page.select_option("select[name=language]", "pl")
    page.click("footer button")
    assert page.locator("html").get_attribute("lang") == "pl"
    assert "Zużycie" in page.inner_text("h1")
    context.close()


@pytest.mark.parametrize("language", ["de", "pl"])
def test_other_languages_fit_too(browser: Browser, server: Server, language: str) -> None:
    with watched_page(browser, server, width=360) as page:
        page.set_extra_http_headers({"Accept-Language": language})
        page.goto("/register")
        assert page.locator("html").get_attribute("lang") == language
        must_be_good(page)
        page.goto(f"{METER}/consumption?period=current-year")
        sign_in(page, "anna", PASSWORD)
        must_be_good(page)


def test_a_meter_of_somebody_else_is_not_found(browser: Browser, server: Server) -> None:
    page = browser.new_page(base_url=server.url)
    page.goto("/profile/1")
    sign_in(page, "anna", PASSWORD)
    assert "Not found" in page.inner_text("main")
    must_be_good(page)
    page.close()


@pytest.mark.parametrize("path", [METER, f"{METER}/consumption"])
def test_a_new_reading_moves_the_open_page_and_leaves_the_reader_alone(
    browser: Browser, server: Server, session: str, path: str
) -> None:
    with watched_page(browser, server, session=session, width=360) as page:
        page.goto(path)
        page.wait_for_selector("html[data-live=open]", state="attached")
        page.click(".behind summary")
        page.focus(".behind .scroll")
        page.evaluate("scrollTo(0, 400)")
        before = page.inner_text("main"), page.evaluate(f"JSON.stringify({_DRAWN})")
        with client_of(server.url) as meter:
            packet = {"id": 999_999_999, **_last_half_hour()}
            assert meter.post("/meter", json=packet).status_code == 201
        wait_until(page, f"document.querySelector('main').innerText !== {json.dumps(before[0])}")
        wait_until(page, f"JSON.stringify({_DRAWN}) !== {json.dumps(before[1])}")
        assert page.locator(".behind[open]").count() == 1
        assert page.evaluate("document.activeElement.matches('.behind .scroll')")
        assert page.evaluate("scrollY") == 400
        must_be_good(page)


def test_a_period_that_is_over_is_not_kept_up_to_date(
    browser: Browser, server: Server, session: str
) -> None:
    with watched_page(browser, server, session=session) as page:
        page.goto(DAY)
        assert page.locator("[data-live], script[src*=live]").count() == 0


def _last_half_hour() -> dict[str, object]:
    stamp = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
    return {"timestamp": stamp, "reading_kWh": (1_000 + time.time_ns() % 9_000) / 1000}


def _bar_colours(page: Page) -> set[str]:
    colours = page.eval_on_selector_all(
        "#energy .barlayer .point path", "paths => paths.map((path) => path.style.fill)"
    )
    return set(colours)


def _fill(page: Page, fields: dict[str, str]) -> None:
    for name, text in fields.items():
        page.fill(f"#{name}", text)


def _submit(page: Page) -> None:
    with page.expect_navigation():
        page.click("main button[type=submit]")


def _tab_to(page: Page, words: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == words:
            page.keyboard.press("Enter")
            return
    pytest.fail(f"no way to {words!r} by keyboard")


def _sign_out_by_keyboard(page: Page) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.menu summary')"):
            page.keyboard.press("Enter")
            _tab_to(page, "Sign out")
            return
    pytest.fail("no way to the account's menu by keyboard")


def test_a_second_file_may_be_dropped_after_the_report_of_the_first(
    browser: Browser, opened: tuple[Server, str], tmp_path: Path
) -> None:
    server, session = opened
    file = tmp_path / "first.csv"
    file.write_text("meter,start,kWh\n999999999,2020-01-01T00:00:00Z,0.5\n")
    dropped = """() => {
        const carried = new DataTransfer();
        carried.items.add(new File(["meter"], "second.csv"));
        const drop = new DragEvent("drop", {dataTransfer: carried, cancelable: true});
        const isTaken = !document.querySelector("form[data-drop]").dispatchEvent(drop);
        return [isTaken, document.querySelector("#file").files.length];
    }"""
    with watched_page(browser, server, session=session) as page:
        page.goto("/files")
        page.set_input_files("#file", file)
        page.click("form[data-drop] button[value=look]")
        page.wait_for_selector("main [role=status]")
        assert page.evaluate(dropped) == [True, 1]
