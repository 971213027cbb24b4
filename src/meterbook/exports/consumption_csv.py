"""
Consumption as CSV, one line a point (RFC 4180): the figures of the JSON, to the last Wh.

Neutral of any language: a point before decimals, ISO 8601 times with their offset. No field begins
as a spreadsheet's formula does: they are times, numbers and the words of qualities.
"""

from collections.abc import Iterator

from meterbook.queries.consumption import Consumption

HEADER = ("starts_at", "kWh", "quality", "estimated_kWh", "missing_intervals")


def consumption_csv(answer: Consumption) -> str:
    """Return the points; what is missing is an empty field, never 0."""
    return "".join(f"{','.join(line)}\r\n" for line in _lines(answer))


def _lines(answer: Consumption) -> Iterator[tuple[str, ...]]:
    yield HEADER
    for point in answer.points:
        yield (
            point.starts_at,
            "" if point.energy_kwh is None else f"{point.energy_kwh:.3f}",
            point.quality or "",
            f"{point.estimated_kwh:.3f}",
            str(point.missing_intervals),
        )
