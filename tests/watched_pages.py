"""
Pages under watch: whatever a real browser complains about fails the test that looked.

Complaints are console messages (the policy's among them), errors of scripts, failed requests,
requests to anybody but the server, and pages wider than the window.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request

from meterbook.access import SESSION_COOKIE
from servers import Server

WIDTHS = (360, 1280)
_AXE = Axe()
_WAIT_S = 20
_LOOK_EVERY_MS = 20
# WCAG 2.2 AA and what axe-core holds to be good practice.
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@contextmanager
def watched_page(
    browser: Browser,
    server: Server,
    *,
    width: int = 1280,
    scheme: str = "light",
    session: str | None = None,
) -> Iterator[Page]:
    """
    Give a page of a browser of its own; at the end there must be no complaint.

    :param session: the secret of a session that is open already.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        base_url=server.url,
        reduced_motion="reduce",
    )
    if session:
        context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": server.url}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: _must_be_a_refusal(message.text, complaints))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: _must_be_cut_short(request, complaints))
    page.on("request", lambda request: _must_be_ours(request.url, server, complaints))
    yield page
    context.close()
    assert complaints == []


def must_be_good(page: Page, *, axe: bool = True) -> None:
    """Wait for the page's charts, then make sure that it fits and can be read by everybody."""
    wait_for_charts(page)
    opened = page.viewport_size
    assert opened
    for width in (*(width for width in WIDTHS if width != opened["width"]), opened["width"]):
        page.set_viewport_size({"width": width, "height": opened["height"]})
        # Charts follow the window a moment later.
        wait_until(page, "document.documentElement.scrollWidth <= innerWidth")
    if axe:
        found = _AXE.run(page, options=_RULES)
        assert not found.response["violations"], f"{page.url}\n{found.generate_report()}"


def wait_for_charts(page: Page) -> None:
    """Wait until every chart of the page is drawn."""
    wait_until(
        page,
        "[...document.querySelectorAll('.chart-canvas[data-figure]')]"
        ".every((canvas) => canvas.dataset.drawn)",
    )


def wait_until(page: Page, expression: str) -> None:
    """Wait until it is true; Playwright's own way would evaluate it against the page's policy."""
    end = time.monotonic() + _WAIT_S
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{page.url}: {expression}"
        page.wait_for_timeout(_LOOK_EVERY_MS)


def sign_in(page: Page, username: str, password: str) -> None:
    """Fill in the sign-in page that is shown."""
    page.fill("#username", username)
    page.fill("#password", password)
    with page.expect_navigation():
        page.click("main button[type=submit]")


def sign_out(page: Page) -> None:
    """Sign out by the account's menu."""
    page.click("details.menu summary")
    with page.expect_navigation():
        page.click("details.menu button[type=submit]")


def _must_be_a_refusal(text: str, complaints: list[str]) -> None:
    # A form that is shown again has status 400, which Chromium notes down.
    if "the server responded with a status of 400" not in text:
        complaints.append(text)


def _must_be_cut_short(request: Request, complaints: list[str]) -> None:
    # Leaving a page cuts short what it was still loading, such as its icon: no fault of ours.
    if request.failure != "net::ERR_ABORTED":
        complaints.append(f"{request.url}: {request.failure}")


def _must_be_ours(url: str, server: Server, complaints: list[str]) -> None:
    if not url.startswith(server.url):
        complaints.append(f"asked {url}")
