"""The arithmetic of docs/scale.md: every figure of the table follows from its inputs."""

import re
import sys
from math import ceil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
BENCHMARKS = PAGE.with_name("benchmarks.md")
BEGIN, END = "<!-- reckoned -->", "<!-- end -->"
METERS = (1, 1_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
HEADS = (
    "meters", "packets/s, mean", "all in their minute", "over the half hour", "doors, minute",
    "doors, half hour", "daybook, GB", "ledger, GB a year", "database nodes", "shards",
    "close, minutes", "EUR a month",
)  # fmt: skip


def stated() -> dict[str, float]:
    """Return the inputs by name, as the page states them."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d,.]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: float(number.replace(",", "")) for name, number in rows}


def reckoned(meters: int, given: dict[str, float]) -> list[str]:
    """Return the row of so many meters."""
    a_day = meters * given["packets_a_day"]
    minute, half_hour = meters / given["minute_s"], meters / given["half_hour_s"]
    large = meters > given["sqlite_meters"]
    per_ledger = given["ledger_bytes_postgresql" if large else "ledger_bytes_sqlite"]
    per_daybook = given["daybook_bytes_postgresql" if large else "daybook_bytes_sqlite"]
    daybook_gb = given["open_days"] * a_day * per_daybook / 1e9
    ledger_gb = 365 * a_day * per_ledger / 1e9
    doors = ceil(half_hour / given["packets_a_door"])
    nodes = ceil((given["years"] * ledger_gb + daybook_gb) / given["disk_gb"]) if large else 0
    machines = doors + nodes if large else 1
    shards = 1 << ceil(4 * nodes - 1).bit_length() if nodes > 1 else 0
    figures = (
        meters, a_day / 86_400, minute, half_hour, ceil(minute / given["packets_a_door"]), doors,
        daybook_gb, ledger_gb, nodes, max(shards, 32) if shards else 0,
        a_day / given["closed_a_second"] / 60, machines * given["machine_eur"],
    )  # fmt: skip
    return [shown(figure) for figure in figures]


def shown(figure: float) -> str:
    """Return it with two digits that count, thousands apart."""
    if figure == int(figure):
        return f"{int(figure):,}"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2g}"


def table() -> str:
    """Return the table of the page."""
    given = stated()
    lines = [HEADS, ("---",) * len(HEADS), *(reckoned(meters, given) for meters in METERS)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def test_the_table_follows_from_the_stated_inputs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0].strip() == table()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("packets_a_door", "| packets, 64 connections, meters in order | "),
        ("closed_a_second", "| close a day of 1,000,000 meters x 47 | "),
        ("ledger_bytes_sqlite", "| a reading in the ledger | "),
    ],
)
def test_measured_inputs_are_those_of_the_benchmarks(name: str, line: str) -> None:
    rows = BENCHMARKS.read_text(encoding="utf-8").splitlines()
    medians = [row.removeprefix(line).split(" ")[0] for row in rows if row.startswith(line)]
    assert stated()[name] in {float(median.replace(",", "")) for median in medians}


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    sys.stdout.write(table() + "\n")
