"""How pages say what hosts measure: names, figures, and the chart of a measurement."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from meterbook.charts.sites import energy_chart, moment_chart
from meterbook.charts.theme import Figure
from meterbook.domain.modbus_numbers import measured_flow
from meterbook.domain.readings import QUALITY_WORDS, Flow, Quality
from meterbook.queries.host_readings import EnergyReadings, MomentaryReadings
from meterbook.web import formats
from meterbook.web.languages import gettext
from meterbook.web.region_drawings import separators
from meterbook.web.wording import point_words

NOTHING = "–"
_ESTIMATED = {QUALITY_WORDS[q] for q in (Quality.ESTIMATED_INTERPOLATED, Quality.MIXED)}
_LARGE, _MIDDLE = 1000, 10


class Drawn(msgspec.Struct, frozen=True):
    """A chart with the table behind it."""

    figure: Figure
    summary: str
    figures: list[tuple[str, str]]
    """What the whole period comes to: words and figure."""
    heads: list[str]
    """Of the table's columns after the first."""
    rows: list[tuple[str, list[str]]]
    """What each point is called, and its cells."""
    missing_intervals: int


def measurement_words(name: str) -> str:
    """
    Return a measurement's name as people write it.

    >>> measurement_words("voltage_ac_l1")
    'Voltage AC L1'
    """
    words = [word.upper() if word in {"ac", "dc", "l1", "l2", "l3", "thd"} else word
             for word in name.split("_")]  # fmt: skip
    return " ".join(words)[:1].upper() + " ".join(words)[1:]


def amount_words(amount: float | None, unit: str) -> str:
    """
    Return a figure with its unit, as fine as its size asks for.

    >>> amount_words(229.96, "V")
    '230.0 V'
    """
    if amount is None:
        return NOTHING
    size = abs(amount)
    digits = 3 if unit == "kWh" or size < _MIDDLE else 1 if size < _LARGE else 0
    return f"{formats.number(amount, digits)} {unit}".rstrip()


def drawn(answer: EnergyReadings | MomentaryReadings) -> Drawn:
    """Return the chart of a measurement."""
    return _energy(answer) if isinstance(answer, EnergyReadings) else _momentary(answer)


def tick_words(starts_at: Sequence[str], columns: Sequence[str]) -> list[str]:
    """
    Return what stands under points: within one day the time alone.

    >>> tick_words(["2025-02-08T00:30:00Z", "2025-02-08T01:00:00Z"], ["8 Feb, 00:30", "..."])
    ['00:30', '01:00']
    """
    if len({text[:10] for text in starts_at}) == 1 < len(starts_at):
        return [text[11:16] for text in starts_at]
    return list(columns)


def clock_words(text: str | None) -> str:
    """Return an ISO 8601 instant as day and time of its own clock."""
    return NOTHING if text is None else formats.moment(datetime.fromisoformat(text))


def _energy(answer: EnergyReadings) -> Drawn:
    columns = point_words([p.starts_at for p in answer.points], resolution=answer.resolution)
    name, unit = measurement_words(answer.measurement), answer.unit
    figures = [(gettext("Energy"), amount_words(answer.total, unit))]
    if answer.estimated:
        figures.append((gettext("Estimated part"), amount_words(answer.estimated, unit)))
    return Drawn(
        energy_chart(
            columns,
            [point.energy for point in answer.points],
            ticks=tick_words([p.starts_at for p in answer.points], columns),
            estimated=[point.quality in _ESTIMATED for point in answer.points],
            unit=unit,
            is_export=measured_flow(answer.measurement) is Flow.EXPORT,
            separators=separators(),
        ),
        f"{name}: {amount_words(answer.total, unit)}",
        figures,
        [unit, gettext("Quality")],
        [
            (column, [_number(point.energy), point.quality or gettext("missing")])
            for column, point in zip(columns, answer.points, strict=True)
        ],
        answer.missing_intervals,
    )


def _momentary(answer: MomentaryReadings) -> Drawn:
    columns = point_words([p.starts_at for p in answer.points], resolution=answer.resolution)
    name, unit = measurement_words(answer.measurement), answer.unit
    return Drawn(
        moment_chart(
            columns,
            [point.mean for point in answer.points],
            ticks=tick_words([p.starts_at for p in answer.points], columns),
            lowest=[point.lowest for point in answer.points],
            highest=[point.highest for point in answer.points],
            unit=unit,
            separators=separators(),
        ),
        f"{name}: {amount_words(answer.mean, unit)}",
        [
            (gettext("Mean"), amount_words(answer.mean, unit)),
            (gettext("Least"), amount_words(answer.lowest, unit)),
            (gettext("Greatest"), amount_words(answer.highest, unit)),
        ],
        [gettext("Mean"), gettext("Least"), gettext("Greatest")],
        [
            (column, [_number(point.mean), _number(point.lowest), _number(point.highest)])
            for column, point in zip(columns, answer.points, strict=True)
        ],
        answer.missing_intervals,
    )


def _number(amount: float | None) -> str:
    return NOTHING if amount is None else formats.number(amount, 3)
