"""Operators and admins in a real browser: the dashboard drilled down, a host edited, news."""

import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from books import record_packets
from callers import PASSWORD, client_of, own_everything, signed_in
from meterbook.day_close import close_day
from meterbook.domain.local_days import interval_starts, local_day
from meterbook.intake.packet_fields import Packet
from meterbook.jobs.regions import RegionUpkeep
from meterbook.registry.accounts import Role
from meterbook.registry.meters import add_meters
from meterbook.simulate.demo_homes import DEMO_REGIONS
from meterbook.storage.database import Database
from servers import Server, running_server
from services import need, program

UTC = ZoneInfo("UTC")
WIDTHS = {"narrow": 360, "wide": 1280}
METER = 999_999_999


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Server]:
    """Give a server with two regions, a closed day, and an admin who has a host."""
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
    RegionUpkeep(database, silent_intervals=4).run(now=now, took_s=time.monotonic)
    owner, _ = signed_in(database, "anna")
    _, token = signed_in(database, "root", role=Role.ADMIN)
    database.close()
    settings = {"regions": str(DEMO_REGIONS)}
    with running_server(folder / "data", database_url=url, settings=settings) as started:
        with client_of(started.url, token) as admin:
            own_everything(admin, owner.id, meter_id=METER)
        yield started


class Visit:
    """One visitor: every page fits, is accessible, and complains of nothing."""

    def __init__(self, context: BrowserContext, server: Server, width: int) -> None:
        self.width = width
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request",
            lambda request: (
                None if request.url.startswith(server.url) else self.complaints.append(request.url)
            ),
        )

    def sign_in(self, username: str) -> None:
        """Sign in."""
        self.page.goto("/sign-in")
        self.page.fill("#username", username)
        self.page.fill("#password", PASSWORD)
        with self.page.expect_navigation():
            self.page.click("main button[type=submit]")

    def follow(self, selector: str) -> None:
        """Click on a link or button that leads to another page, and look at that page."""
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()
        self.must_be_in_order()

    def must_be_in_order(self) -> None:
        """Look at the page as it is."""
        page = self.page
        for canvas in page.locator(".chart-canvas").all():
            canvas.scroll_into_view_if_needed()
        if page.locator(".chart-canvas").count():
            page.wait_for_function(
                "document.querySelectorAll('.chart-canvas:not([data-drawn])').length === 0"
            )
        assert page.evaluate("document.documentElement.scrollWidth") <= self.width
        found = Axe().run(page)
        assert found.response["violations"] == [], found.generate_report()


@pytest.fixture(params=[("narrow", "dark"), ("wide", "light")], ids=lambda param: param[0])
def visit(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Visit]:
    """Give a visitor on a narrow, dark and on a wide, light screen."""
    name, scheme = request.param
    context = browser.new_context(
        viewport={"width": WIDTHS[name], "height": 800}, color_scheme=scheme, base_url=server.url
    )
    visitor = Visit(context, server, WIDTHS[name])
    yield visitor
    assert visitor.complaints == []
    context.close()


def test_the_dashboard_is_drilled_down_to_the_consumption_of_a_meter(visit: Visit) -> None:
    visit.sign_in("root")
    visit.page.goto("/management-dashboard/")
    visit.must_be_in_order()
    if visit.width == WIDTHS["wide"]:
        for at in range(visit.page.locator("main .tabs a").count()):
            with visit.page.expect_navigation():
                visit.page.locator("main .tabs a").nth(at).click()
            assert visit.page.locator("main .tabs a[aria-current=page]").count() == 1
    visit.page.goto("/management-dashboard/?period=prev-day")
    assert "21.456" in visit.page.inner_text("main .tiles")
    visit.follow("table a:has-text('East London')")
    assert visit.page.inner_text("h1") == "East London"
    visit.follow("table a:has-text('999-999-999')")
    visit.follow("main a[href$='/consumption']")
    assert "/profile/999999999/consumption" in visit.page.url


def test_regions_of_the_map_lead_to_their_pages(visit: Visit) -> None:
    visit.sign_in("root")
    visit.page.goto("/management-dashboard/")
    visit.follow("svg.map a[aria-label^='West London']")
    assert visit.page.inner_text("h1") == "West London"
    for name in ("silent", "unclaimed", "conflicts"):
        visit.page.goto(f"/management-dashboard/{name}")
        visit.must_be_in_order()


def test_an_admin_edits_a_host_and_what_is_wrong_stands_beside_the_field(visit: Visit) -> None:
    visit.sign_in("root")
    visit.follow("nav a:has-text('Devices')")
    visit.follow("main a:has-text('Hosts')")
    visit.follow("table a")
    visit.page.fill("#port", "70000")
    visit.follow("main button[type=submit]")
    assert "65535" in visit.page.inner_text("#port-wrong")
    assert visit.page.evaluate("document.activeElement.id") == "port"
    visit.page.fill("#port", "1502")
    visit.page.fill("#description", "in the cellar")
    visit.follow("main button[type=submit]")
    assert ":1502" in visit.page.inner_text("table")
    visit.follow("table a")
    assert visit.page.input_value("#description") == "in the cellar"
    visit.follow("a:has-text('Remove')")
    visit.follow("a:has-text('Keep it as it is')")
    for page in ("locations", "meters", "meter-models", "registers", "measurements", "accounts"):
        visit.page.goto(f"/manage/{page}")
        visit.must_be_in_order()
        visit.follow("table tbody a")
    for page in ("/manage/audit", "/manage/hosts/new", "/account", "/manage/hosts?search=nothing"):
        visit.page.goto(page)
        visit.must_be_in_order()
    # A refused form answers 400, which the browser notes and nobody else.
    visit.complaints = [said for said in visit.complaints if "status of 400" not in said]


def test_an_open_dashboard_moves_when_the_days_are_summed_anew(
    visit: Visit, server: Server
) -> None:
    visit.sign_in("root")
    visit.page.goto("/management-dashboard/")
    visit.page.wait_for_selector("html[data-live=open]", state="attached")
    with client_of(server.url) as meter:
        stamp = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(time.time() - 1_900))
        wh = 1 + time.time_ns() % 9_000
        packet = {"id": METER - 1, "timestamp": stamp, "reading_kWh": wh / 1000}
        assert meter.post("/meter", json=packet).status_code == 201
    visit.page.wait_for_selector("html[data-live-updates]", state="attached", timeout=90_000)
