"""
THE table: what Meterbook aims at beside its peers, what was measured, and what holds it back.

`python -m benchmarks peers` measures what stands in it and nothing else; `make bench` ends with it.
"""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import (
    big_book,
    close_speed,
    growth_speed,
    import_files_speed,
    peers_month,
    peers_packets,
)
from benchmarks.figures import Figure, text_of

MODULES = (
    "peers_packets",
    "import_files_speed",
    "peers_month",
    "dashboard_speed",
    "close_speed",
    "growth_speed",
)
"""The benchmarks whose figures stand in the table."""


class Aim(msgspec.Struct, frozen=True):
    """One line of the table."""

    words: str
    figure: tuple[str, str]
    """Name and unit of the figure that it is measured by."""
    aim: float
    holds_back: str
    """The limit where it is missed: the machine's, or ours."""
    lower_is_better: bool = False
    divided_by: tuple[str, str] | None = None
    """The figure to divide by, where the aim is a ratio of two."""


_TIMES = "times as fast"
_BYTES = "bytes/reading"
_PYTHON = "ours: Python's share of a request"
_SERVER = "ours: one commit after the other"
_PAGES = "ours: a page of the daybook for each scattered packet"
AIMS = (
    Aim(
        "one packet a request, durable, 64 connections: x InfluxDB",
        (peers_packets.against(peers_packets.INFLUXDB), _TIMES), 1.2, _SERVER,
    ),
    Aim(
        "the same: x the seed's design on Flask's server",
        (peers_packets.against(peers_packets.SEED), _TIMES), 20, _SERVER,
    ),
    Aim(
        "bulk London year, file to durable: x InfluxDB",
        (import_files_speed.against(import_files_speed.INFLUXDB), _TIMES), 3,
        "ours: packing days, a quarter of it",
    ),
    Aim(
        "the same: x VictoriaMetrics, which does not fsync",
        (import_files_speed.against(import_files_speed.VICTORIA_METRICS), _TIMES), 0.8,
        "ours: packing days, a quarter of it",
    ),
    Aim(
        "bytes on disk per London reading: of VictoriaMetrics's",
        (f"{import_files_speed.CSV}, SQLite file", _BYTES), 1.0,
        "ours: the intervals' encoding and SQLite's row",
        lower_is_better=True,
        divided_by=(f"{import_files_speed.VICTORIA_METRICS}: on disk", _BYTES),
    ),
    Aim(
        "month of one meter by day, HTTP, 1,000,000 meters: x InfluxDB",
        (peers_month.against(peers_month.INFLUXDB), _TIMES), 3, _PYTHON,
    ),
    Aim(
        "regional day profile over 1,000,000 meters, ms",
        (f"half-hours of one day over {close_speed.METERS:,} meters", "ms"), 50, _PYTHON,
        lower_is_better=True,
    ),
    Aim(
        "closing a day of 1,000,000 meters with all checks, readings/s",
        (f"close a day of {close_speed.METERS:,} meters x {big_book.SLOTS}", "readings/s"),
        278_000, "ours: one core",
    ),
    *(
        Aim(
            f"{name}: 1,000,000 meters to 10,000",
            (growth_speed.growth_of(name), "times"), growth_speed.FLAT_MAX, limit,
            lower_is_better=True,
        )
        for name, limit in (
            ("a reading from its packet to the ledger", _PAGES),
            ("a reading in the ledger", "ours: pages left half full by an append"),
            ("a month of one meter", "the machine: pages not in its caches"),
        )
    ),
)  # fmt: skip


def measured(aim: Aim, found: Sequence[Figure]) -> Figure | None:
    """Return the aim's figure over the runs; None if it was not measured."""
    by_name = {(figure.name, figure.unit): figure for figure in found}
    figure = by_name.get(aim.figure)
    if figure is None or (aim.divided_by is not None and aim.divided_by not in by_name):
        return None
    runs = figure.runs
    if aim.divided_by is not None:
        other = by_name[aim.divided_by].median
        runs = [run / other for run in runs]
    return Figure(aim.words, figure.unit, runs, aim.aim, aim.lower_is_better)


def show_aims(found: Sequence[Figure]) -> None:
    """Print the table; what was not measured stands in it as such."""
    table = Table("aim", "wanted", "median", "lowest", "highest", "reached", "limit", box=None)
    for aim in AIMS:
        wanted = f"{'<=' if aim.lower_is_better else '>='} {text_of(aim.aim)}"
        figure = measured(aim, found)
        if figure is None:
            table.add_row(aim.words, wanted, "", "", "", "not measured", "")
            continue
        table.add_row(
            aim.words,
            wanted,
            text_of(figure.median),
            text_of(min(figure.runs)),
            text_of(max(figure.runs)),
            figure.reached,
            "" if figure.reached == "yes" else aim.holds_back,
        )
    Console(width=170).print(table)
