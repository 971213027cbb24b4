"""Documentation is tested: what it names exists, and what exists it names."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from meterbook.settings import FROM_FILES, SENTENCES, Settings
from reference import FOLDER, PAGES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "meterbook"
PAGES_OF_TEXT = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    page: Callable[[], str] = PAGES[name]
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == page(), "run `make reference`"


def test_every_setting_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Settings.__struct_fields__)


def test_every_path_of_the_layout_exists_and_the_other_way_round() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    layout = text.split("## The layout")[1].split("```")[1]
    top, package = layout.split("└── src/meterbook/")
    for name in re.findall(r"── (\S+)", top):
        assert (ROOT / name).exists(), name
    named = {name.rstrip("/") for name in re.findall(r"── (\S+)", package)}
    there = {
        path.name
        for path in PACKAGE.iterdir()
        if not path.name.startswith("__") and (path.is_dir() or path.suffix == ".py")
    }
    assert named == there


@pytest.mark.parametrize("page", PAGES_OF_TEXT, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES_OF_TEXT, ids=lambda page: page.name)
def test_settings_named_anywhere_exist(page: Path) -> None:
    known = {*SENTENCES, *(f"{name}_file" for name in FROM_FILES)}
    for name in re.findall(r"METERBOOK_([A-Z_]+[A-Z])", page.read_text(encoding="utf-8")):
        assert name.lower() in known or name.startswith("TEST_"), name


@pytest.mark.parametrize("page", PAGES_OF_TEXT, ids=lambda page: page.name)
def test_source_files_named_anywhere_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:src/|tests/)?[a-z_/]+\.py)`", text):
        assert (ROOT / name).exists() or (PACKAGE / name).exists(), name


def test_decisions_are_numbered_once_and_dated() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [decision.name[:4] for decision in decisions]
    assert len(set(numbers)) == len(numbers)
    for decision in decisions:
        assert re.search(r"^20\d\d-\d\d-\d\d$", decision.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_changelog_begins_with_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
