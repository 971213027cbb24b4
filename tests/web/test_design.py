"""The stylesheet's tokens: the same shades as the charts', and enough contrast to read."""

import re

import pytest

from meterbook.charts.theme import LIGHT_AND_DARK
from meterbook.web.assets import _FOLDER

STYLESHEET = (_FOLDER / "meterbook.css").read_text(encoding="utf-8")
_TOKEN = re.compile(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
TOKENS = {name: (light, dark) for name, light, dark in _TOKEN.findall(STYLESHEET)}
TEXT = 4.5  # WCAG 2.2, 1.4.3
BORDER = 3.0  # WCAG 2.2, 1.4.11
PAIRS = [
    *((ink, paper, TEXT) for ink in ("ink", "faint", "import", "export", "estimated", "alarm")
      for paper in ("paper", "card")),
    *((ink, "well", TEXT) for ink in ("ink", "faint")),
    *((name, f"{name}-wash", TEXT)
      for name in ("import", "export", "estimated", "alarm", "caution", "good")),
    *(("ink", f"{name}-wash", TEXT) for name in ("alarm", "caution", "good", "missing")),
    ("card", "alarm", TEXT),
    ("paper", "ink", TEXT),
    ("line-strong", "card", BORDER),
    ("line-strong", "paper", BORDER),
    ("missing", "card", BORDER),
]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("upper", "lower", "least"), PAIRS)
def test_what_must_be_read_can_be(upper: str, lower: str, least: float, dark: bool) -> None:
    assert contrast(TOKENS[upper][dark], TOKENS[lower][dark]) >= least


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_series_and_energies_stand_out_from_the_card(dark: bool) -> None:
    names = [name for name in TOKENS if name.startswith("series-")] + ["import", "export"]
    assert len(names) == 8
    for name in names:
        assert contrast(TOKENS[name][dark], TOKENS["card"][dark]) >= BORDER, name


def test_charts_have_the_shades_of_the_stylesheet() -> None:
    assert {name: TOKENS[name] for name in LIGHT_AND_DARK} == LIGHT_AND_DARK


def test_every_token_used_is_there() -> None:
    made = set(re.findall(r"(--[a-z0-9-]+):", STYLESHEET))
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", STYLESHEET)) <= made


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two shades, as WCAG defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(shade: str) -> float:
    parts = [int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
