"""Operators and admins in a real browser: the dashboard drilled down, a host edited, news."""

import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from books import record_packets
from callers import client_of, own_everything, session_of, signed_in
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, local_day
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.pace import unhurried
from meterbook.jobs.regions import RegionUpkeep
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters
from meterbook.simulate.demo_homes import DEMO_REGIONS
from meterbook.storage.database import Database
from servers import Server, running_server
from watched_pages import must_be_good, watched_page

UTC = ZoneInfo("UTC")
METER = 999_999_999


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Server, str, str]]:
    """Give a server with two regions and a closed day, and a session of an admin who has a host."""
    folder = tmp_path_factory.mktemp("management")
    (folder / "book.sqlite").write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{folder / 'book.sqlite'}"
    database = Database(url)
    now = int(time.time())
    yesterday = local_day(now - 86_400, UTC)
    regions = {METER: "East London", METER - 1: "West London"}
    with database.writing() as connection:
        add_meters(connection, regions, zone="UTC", now=now - 9 * 86_400, regions=regions)
    record_packets(
        database,
        [
            Packet(meter, start + 1860, 200 + index)
            for index, start in enumerate(interval_starts(yesterday, UTC))
            for meter in regions
        ],
    )
    close_day(database, day=yesterday, zone=UTC, now=now)
    RegionUpkeep(database, silent_intervals=4).run(now=now, pace=unhurried())
    owner, _ = signed_in(database, "anna")
    root, token = signed_in(database, "root", role=Role.ADMIN)
    session = session_of(database, root)
    database.close()
    settings = {"regions": str(DEMO_REGIONS)}
    with running_server(folder / "data", database_url=url, settings=settings) as started:
        with client_of(started.url, token) as admin:
            own_everything(admin, owner.id, meter_id=METER)
        yield started, session, url


@pytest.fixture
def page(
    request: pytest.FixtureRequest, browser: Browser, opened: tuple[Server, str, str]
) -> Iterator[Page]:
    """Give a page of the admin, as wide and as light as the test says."""
    server, session, _ = opened
    width, scheme = request.param
    with watched_page(browser, server, width=width, scheme=scheme, session=session) as watched:
        yield watched


def follow(page: Page, selector: str, *, axe: bool = True) -> None:
    """Click on a link or button that leads to another page, and look at that page."""
    with page.expect_navigation():
        page.locator(selector).first.click()
    must_be_good(page, axe=axe)


@pytest.mark.parametrize("page", [(1280, "dark")], indirect=True)
def test_the_dashboard_is_drilled_down_to_the_consumption_of_a_meter(page: Page) -> None:
    page.goto("/management-dashboard/")
    must_be_good(page)
    for at in range(page.locator("main .tabs a").count()):
        with page.expect_navigation():
            page.locator("main .tabs a").nth(at).click()
        assert page.locator("main .tabs a[aria-current=page]").count() == 1
    page.goto("/management-dashboard/?period=prev-day")
    assert "21.5" in page.inner_text("main .tiles")
    follow(page, "table a:has-text('East London')")
    assert page.inner_text("h1") == "East London"
    follow(page, "table a:has-text('999-999-999')")
    follow(page, "main a[href$='/consumption']")
    assert page.url.endswith("/profile/999-999-999/consumption")


@pytest.mark.parametrize("page", [(360, "light")], indirect=True)
def test_regions_of_the_map_lead_to_their_pages(page: Page) -> None:
    page.goto("/management-dashboard/")
    follow(page, "svg.map a[aria-label^='West London']")
    assert page.inner_text("h1") == "West London"
    for name in ("silent", "unclaimed", "conflicts"):
        page.goto(f"/management-dashboard/{name}")
        must_be_good(page)


@pytest.mark.parametrize("page", [(360, "light")], indirect=True)
def test_an_admin_edits_a_host_and_what_is_wrong_stands_beside_the_field(page: Page) -> None:
    page.goto("/profile")
    follow(page, "nav a:has-text('Administration')")
    follow(page, "main a:has-text('Hosts')")
    follow(page, "table a")
    page.fill("#port", "70000")
    follow(page, "main button[type=submit]")
    assert "65535" in page.inner_text("#port-wrong")
    assert page.evaluate("document.activeElement.id") == "port"
    page.fill("#port", "1502")
    page.fill("#description", "in the cellar")
    follow(page, "main button[type=submit]")
    assert ":1502" in page.inner_text("table")
    follow(page, "table a")
    assert page.input_value("#description") == "in the cellar"
    follow(page, "a:has-text('Remove')")
    follow(page, "a:has-text('Keep it as it is')")
    for kind in ("locations", "meters", "meter-models", "registers", "measurements", "accounts"):
        page.goto(f"/manage/{kind}")
        must_be_good(page, axe=kind == "locations")
        follow(page, "table tbody a", axe=kind == "registers")
    for path in ("/manage/audit", "/manage/hosts/new", "/account", "/manage/hosts?search=nothing"):
        page.goto(path)
        must_be_good(page)


@pytest.mark.parametrize("page", [(1280, "dark")], indirect=True)
def test_an_open_dashboard_moves_when_the_days_are_summed_anew(
    page: Page, opened: tuple[Server, str, str]
) -> None:
    page.goto("/management-dashboard/")
    page.wait_for_selector("html[data-live=open]", state="attached")
    with client_of(opened[0].url) as meter:
        # Yesterday is closed, and of today no half hour may have ended yet.
        before_yesterday = time.gmtime(time.time() - 2 * 86_400)
        stamp = time.strftime("%Y-%m-%dT%H:%M:00Z", before_yesterday)
        wh = 1 + time.time_ns() % 9_000
        packet = {"id": METER - 1, "timestamp": stamp, "reading_kWh": wh / 1000}
        assert meter.post("/meter", json=packet).status_code == 201
    database = Database(opened[2])
    RegionUpkeep(database, silent_intervals=4).run(now=int(time.time()), pace=unhurried())
    database.close()
    page.wait_for_selector("html[data-live-updates]", state="attached")


@pytest.mark.parametrize("page", [(360, "light")], indirect=True)
def test_a_device_is_given_a_key_sends_and_is_claimed(
    page: Page, opened: tuple[Server, str, str]
) -> None:
    page.goto("/profile")
    follow(page, "nav a:has-text('Devices')")
    page.fill("#label", "Roof")
    follow(page, "button:has-text('Make a key')")
    key = page.input_value("#secret")
    page.locator("summary:has-text('emonHub')").click()
    page.locator("[data-copies]:visible").click()
    page.wait_for_selector("button:has-text('Copied')")
    must_be_good(page)
    with client_of(opened[0].url) as device:
        sent = {"apikey": key, "node": "roof", "fulljson": '{"energy_total": 12.5}'}
        assert device.post("/input/post", data=sent).json() == {"success": True}
    page.goto("/devices")
    follow(page, "table a:has-text('energy_total')")
    page.select_option("#mapping", "counter")
    page.fill("#unit", "V")
    follow(page, "button:has-text('Claim')")
    assert page.evaluate("document.activeElement.id") == "unit"
    page.fill("#unit", "kWh")
    follow(page, "button:has-text('Claim')")
    follow(page, "table a:has-text('energy_total')", axe=False)
    follow(page, "button:has-text('End the claim')", axe=False)
    page.goto("/devices/unclaimed")
    must_be_good(page)
    follow(page, "h2 a")


@pytest.mark.parametrize("page", [(360, "light"), (1280, "dark")], indirect=True)
def test_a_reading_is_corrected_and_the_correction_withdrawn(page: Page) -> None:
    day = local_day(int(time.time()) - 3 * 86_400, UTC).isoformat()
    page.goto(f"/profile/{METER - 1}")
    follow(page, "a:has-text('Correct readings')")
    page.fill("#day", day)
    follow(page, "button:has-text('Show')")
    row = page.locator("tbody tr").nth(6)
    assert "missing" in row.inner_text()
    row.locator("input").fill("much")
    page.fill("#reason", "read off by hand")
    follow(page, "button:has-text('Save')")
    assert "kWh" in row.locator(".wrong").inner_text()
    row.locator("input").fill("1,25")
    follow(page, "button:has-text('Save')")
    assert "1 reading is changed." in page.inner_text("main [role=status]")
    assert "1.250" in row.inner_text()
    assert "edited" in row.inner_text()
    row.locator("input[type=checkbox]").check()
    page.fill("#reason", "the wrong meter")
    follow(page, "button:has-text('Save')")
    assert "missing" in row.inner_text()
    assert "1.250" in row.inner_text()
