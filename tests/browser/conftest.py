"""Debian's Chromium, driven by Playwright."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from services import need, program


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
