"""
Pictures of every page of the demo, 360 and 1280 px wide, light and dark: `make screenshots`.

They go to `screenshots/`, which is not kept. A new page is a line in PAGES. Arguments choose pages:
`python tests/browser/screenshots.py consumption` makes those whose name begins so.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from meterbook.simulate.demo_book import ACCOUNTS
from servers import Server, running_server
from services import program

FOLDER = Path("screenshots")
WIDTHS = (360, 1280)
NOBODY = ""
METER = "/profile/999-999-999"
PAGES = {
    "landing": (NOBODY, "/"),
    "sign-in": (NOBODY, "/sign-in"),
    "register": (NOBODY, "/register"),
    "not-found": (NOBODY, "/nowhere"),
    "meters": ("household", "/profile"),
    "meter": ("household", METER),
    "consumption-today": ("household", f"{METER}/consumption"),
    "consumption-hour": ("household", f"{METER}/consumption?period=prev-hr"),
    "consumption-week": ("household", f"{METER}/consumption?period=current-week"),
    "consumption-year": ("household", f"{METER}/consumption?period=current-year"),
    "sites": ("household", "/sites"),
    "site": ("household", "/sites/1"),
    "host": ("household", "/hosts/1"),
    "consumption-month": ("household", f"{METER}/consumption?period=prev-month"),
    "files": ("household", "/files"),
    "account": ("household", "/account"),
    "devices": ("household", "/devices"),
    "dashboard": ("operator", "/management-dashboard/"),
    "dashboard-month": ("operator", "/management-dashboard/?period=prev-month"),
    "region": ("operator", "/management-dashboard/region?region=Central%20London"),
    "silent": ("operator", "/management-dashboard/silent"),
    "unclaimed": ("operator", "/management-dashboard/unclaimed"),
    "conflicts": ("operator", "/management-dashboard/conflicts"),
    "operator-meters": ("operator", "/profile"),
    "unclaimed-devices": ("operator", "/devices/unclaimed"),
    "manage": ("admin", "/manage"),
    **{
        f"manage-{kind}": ("admin", f"/manage/{kind}")
        for kind in (
            "locations",
            "hosts",
            "meters",
            "meter-models",
            "registers",
            "measurements",
            "accounts",
            "audit",
            "hosts/new",
            "hosts/1",
            "hosts/1/remove",
            "accounts/1",
            "meter-models/1",
            "locations/1",
        )
    },
    "admin-files": ("admin", "/files"),
}
"""Name of the picture to whose session, and which address."""


@contextmanager
def demo() -> Iterator[Server]:
    """Give a demo of its own, filled with 400 days."""
    with tempfile.TemporaryDirectory() as folder:
        command = ("-m", "meterbook", "demo", "--data-dir", f"{folder}/book")
        with running_server(Path(folder) / "log", command=command) as server:
            yield server


def picture(page: Page, address: str, file: Path) -> None:
    """Photograph the whole page when its charts are drawn."""
    page.goto(address)
    page.wait_for_function(
        "[...document.querySelectorAll('.chart-canvas[data-figure]')]"
        ".every((canvas) => canvas.dataset.drawn)"
    )
    page.screenshot(path=file, full_page=True)


def take_all(browser: Browser, url: str, wanted: tuple[str, ...]) -> None:
    """Photograph every wanted page in every width, light and dark."""
    for account in dict.fromkeys(who for who, _ in PAGES.values()):
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": 800},
                    color_scheme="dark" if scheme == "dark" else "light",
                    base_url=url,
                )
                page = context.new_page()
                if account:
                    sign_in(page, account)
                for name, (who, address) in PAGES.items():
                    if who == account and name.startswith(wanted):
                        picture(
                            page, address, FOLDER / f"{name.replace('/', '-')}-{width}-{scheme}.png"
                        )
                context.close()


def sign_in(page: Page, account: str) -> None:
    """Sign in as one of the demo's accounts."""
    page.goto("/sign-in")
    page.fill("#username", account)
    page.fill("#password", ACCOUNTS[account][1])
    with page.expect_navigation():
        page.click("main button[type=submit]")


def main() -> None:
    """Make the pictures, of a demo of its own or of the one whose address is given."""
    FOLDER.mkdir(exist_ok=True)
    addresses = [text for text in sys.argv[1:] if text.startswith("http")]
    wanted = tuple(text for text in sys.argv[1:] if not text.startswith("http")) or ("",)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        if addresses:
            take_all(browser, addresses[0], wanted)
        else:
            with demo() as server:
                take_all(browser, server.url, wanted)
        browser.close()


if __name__ == "__main__":
    main()
