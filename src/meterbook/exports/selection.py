"""Which meters and days a file of readings holds, and its readings one after the other."""

from collections.abc import Collection, Iterator
from datetime import date

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import day_bounds
from meterbook.domain.readings import Quality
from meterbook.queries.channel_days import DayReadings
from meterbook.queries.exported import (
    ExportSeries,
    days_of_books,
    days_of_series,
    export_series,
)
from meterbook.registry.refusals import NotThereError, WrongFieldError


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; None: all there is."""

    meter_ids: Collection[int] | None = None
    account_id: int | None = None
    region: str | None = None
    first_day: date | None = None
    """On each meter's own clock."""
    end_day: date | None = None
    """Not included."""


def require_selectable(connection: sa.Connection, selection: Selection) -> None:
    """
    Refuse a selection that nothing can be in; a known meter without readings is an empty file.

    :raises WrongFieldError: if its days end before they begin.
    :raises NotThereError: if a meter, or every meter of a region, is unknown or another account's.
    """
    first_day, end_day = selection.first_day, selection.end_day
    if first_day is not None and end_day is not None and end_day <= first_day:
        raise WrongFieldError("to", "must be after from")
    if selection.meter_ids is None and selection.region is None:
        return
    series = export_series(
        connection,
        meter_ids=selection.meter_ids,
        account_id=selection.account_id,
        region=selection.region,
    )
    if next(series, None) is None:
        raise NotThereError("meter")


class Interval(msgspec.Struct, frozen=True, gc=False):
    """The energy of one interval that is known."""

    starts_at: int
    length_s: int
    amount: int
    """Wh."""
    quality: Quality


def selected_days(
    connection: sa.Connection, selection: Selection
) -> Iterator[tuple[ExportSeries, Iterator[DayReadings]]]:
    """Yield each series with its days that have a reading, oldest first."""
    there = days_of_books(connection)
    if there is None:
        return
    first_day = max(selection.first_day or there[0], there[0])
    end_day = min(selection.end_day or there[1], there[1])
    for series in export_series(
        connection,
        meter_ids=selection.meter_ids,
        account_id=selection.account_id,
        region=selection.region,
    ):
        yield (
            series,
            days_of_series(connection, series, first_day=first_day, end_day=end_day),
        )


def intervals_of(day: DayReadings, series: ExportSeries) -> Iterator[Interval]:
    """Yield what is known of a day; where only its total is known, that is one interval."""
    length_s = day.interval_s
    if len(day.amounts) == 1:
        begins_at, ends_at = day_bounds(day.day, series.zone)
        length_s = ends_at - begins_at
    for index, amount in enumerate(day.amounts):
        if amount is not None:
            quality = day.quality if day.qualities is None else Quality(day.qualities[index])
            yield Interval(day.starts_at + index * length_s, length_s, amount, quality)
