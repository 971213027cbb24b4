"""What the consumption page shows: the answer, its figures, its charts and the ways on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from meterbook.charts.bars import energy_bars, is_missing_drawn
from meterbook.charts.heat_map import heat_map
from meterbook.charts.theme import Figure
from meterbook.domain.local_days import local_day, time_zone
from meterbook.domain.meter_ids import dashed
from meterbook.domain.period_steps import days_of, period_before
from meterbook.domain.periods import Period, Resolution
from meterbook.domain.units import wh_to_kwh
from meterbook.queries.channel_days import DayReadings
from meterbook.queries.consumption import Consumption, consumption_of, days_of_period
from meterbook.queries.meter_places import MeterPlace, export_place
from meterbook.queries.period_figures import (
    Counted,
    PeriodFigures,
    counted_days,
    period_figures,
)
from meterbook.queries.region_average import RegionAverage, region_average
from meterbook.queries.time_of_day import days_by_time
from meterbook.web.consumption_charts import (
    ROWS_MAX,
    Row,
    bars,
    column_ticks,
    column_words,
    heat_rows,
    table_rows,
)
from meterbook.web.consumption_links import ConsumptionLinks, consumption_links
from meterbook.web.formats import clock, day, kwh, separators
from meterbook.web.languages import gettext
from meterbook.web.wording import BEFORE_WORDS, range_words

_HEAT_DAYS = range(2, 401)  # a day is a line, and beyond a year they are too thin to see


class TypicalTime(msgspec.Struct, frozen=True):
    """One line of the table behind the heat map."""

    words: str
    average_kwh: float | None
    highest_kwh: float | None
    missing: int


class ConsumptionPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    meter_id: int
    meter: str
    """With dashes."""
    name: str | None
    is_export: bool
    answer: Consumption
    figures: PeriodFigures
    range: str
    peak: str | None
    """When, in words."""
    before: str
    """What it is compared with, in words."""
    links: ConsumptionLinks
    bars: Figure
    shows_missing: bool
    """Whether the bars show something missing."""
    summary: str
    """The bars in a sentence, for who does not see them."""
    rows: list[Row]
    rows_left_out: int
    region: RegionAverage | None
    """Homes of the region; None where what they use is not the question."""
    is_live: bool
    """Whether new readings may belong to it: it is not over yet."""
    heat: Figure | None
    typical: list[TypicalTime]


class Asked(msgspec.Struct, frozen=True):
    """What somebody wants to see."""

    place: MeterPlace
    period: Period
    resolution: Resolution
    is_export: bool
    now: int


def figures_of(connection: sa.Connection, asked: Asked) -> PeriodFigures:
    """Return the figures of what was asked."""
    days, earlier, earlier_days = _read(connection, asked)
    counted = counted_days(days, period=asked.period, now=asked.now)
    return _figures(asked, counted, earlier, earlier_days)


def consumption_page_of(
    connection: sa.Connection, asked: Asked, *, group_min: int
) -> ConsumptionPage:
    """
    Return the page of what was asked.

    :param group_min: homes that must have reported before their average is shown.
    """
    place, period, zone = asked.place, asked.period, time_zone(asked.place.zone)
    days, earlier, earlier_days = _read(connection, asked)
    counted = counted_days(days, period=period, now=asked.now)
    answer = _consumption(asked, days, period)
    before = None if earlier is None else _consumption(asked, earlier_days, earlier)
    figures = _figures(asked, counted, earlier, earlier_days)
    drawn = bars(answer, before, interval_s=place.interval_s)
    heat, typical = _heat(asked, counted)
    return ConsumptionPage(
        meter_id=place.meter_id,
        meter=dashed(place.meter_id),
        name=place.name,
        is_export=asked.is_export,
        answer=answer,
        figures=figures,
        range=range_words(answer.starts_at, answer.ends_at),
        peak=_peak_words(figures),
        before=gettext(BEFORE_WORDS[period.name]),
        links=consumption_links(
            period=period,
            resolution=asked.resolution,
            flow="export" if asked.is_export else "import",
            has_export=export_place(connection, place=place) is not None,
            interval_s=place.interval_s,
            zone=zone,
            today=local_day(asked.now, zone),
        ),
        bars=energy_bars(drawn, is_export=asked.is_export, separators=separators()),
        shows_missing=any(is_missing_drawn(bar) for bar in drawn),
        summary=_summary(answer),
        rows=table_rows(answer, before),
        region=None
        if asked.is_export
        else region_average(
            connection, place=place, period=period, group_min=group_min, now=asked.now
        ),
        is_live=period.ends_at > asked.now,
        rows_left_out=max(len(answer.points) - ROWS_MAX, 0),
        heat=heat,
        typical=typical,
    )


def _read(
    connection: sa.Connection, asked: Asked
) -> tuple[list[DayReadings], Period | None, list[DayReadings]]:
    place, now = asked.place, asked.now
    days = list(days_of_period(connection, place=place, period=asked.period, now=now))
    earlier = period_before(asked.period, zone=time_zone(place.zone))
    if earlier is None:
        return days, None, []
    return days, earlier, list(days_of_period(connection, place=place, period=earlier, now=now))


def _consumption(asked: Asked, days: Iterable[DayReadings], period: Period) -> Consumption:
    return consumption_of(
        days, place=asked.place, period=period, resolution=asked.resolution, now=asked.now
    )


def _figures(
    asked: Asked,
    counted: Sequence[Counted],
    earlier: Period | None,
    earlier_days: Sequence[DayReadings],
) -> PeriodFigures:
    return period_figures(
        counted,
        earlier_days,
        meter_id=asked.place.meter_id,
        period=asked.period,
        earlier=earlier,
        zone=time_zone(asked.place.zone),
    )


def _peak_words(figures: PeriodFigures) -> str | None:
    if figures.peak is None:
        return None
    begin = datetime.fromisoformat(figures.peak.starts_at)
    end = datetime.fromisoformat(figures.peak.ends_at)
    return f"{day(begin, 'MMMEd')}, {clock(begin)}\N{EN DASH}{clock(end)}"


def _summary(answer: Consumption) -> str:
    known = [point.energy_kwh for point in answer.points if point.energy_kwh is not None]
    if not known:
        return gettext("Bars of energy: nothing is known of this period.")
    words = gettext("Bars of energy: {count} bars, from {lowest} to {highest} kWh.")
    return words.format(count=len(known), lowest=kwh(min(known)), highest=kwh(max(known)))


def _heat(asked: Asked, counted: Sequence[Counted]) -> tuple[Figure | None, list[TypicalTime]]:
    zone = time_zone(asked.place.zone)
    days = days_of(asked.period, zone=zone)
    if days is None or (days[1] - days[0]).days not in _HEAT_DAYS:
        return None, []
    found = days_by_time(counted, zone=zone)
    if found is None or len(found.days) < _HEAT_DAYS.start:
        return None, []
    words = column_words(found.columns)
    figure = heat_map(
        heat_rows(found),
        columns=words,
        ticks=column_ticks(found.columns),
        missing_words=gettext("missing"),
        separators=separators(),
    )
    missing = Counter(column for columns in found.missing for column in columns)
    typical = []
    for column, (said, amounts) in enumerate(
        zip(words, zip(*found.energy_wh, strict=True), strict=True)
    ):
        known = [amount for amount in amounts if amount is not None]
        typical.append(
            TypicalTime(
                said,
                wh_to_kwh(round(sum(known) / len(known))) if known else None,
                wh_to_kwh(max(known)) if known else None,
                missing[column],
            )
        )
    return figure, typical
