"""From an answer to the rows of its charts and its table, in the reader's words."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from meterbook.charts.bars import Bar
from meterbook.charts.heat_map import HeatRow
from meterbook.domain.periods import FINE_S, Resolution
from meterbook.queries.consumption import Consumption, ConsumptionPoint
from meterbook.queries.time_of_day import DaysByTime, TimeOfDay
from meterbook.web.formats import clock, day, kwh
from meterbook.web.languages import gettext
from meterbook.web.ticks import tick_words
from meterbook.web.wording import missing_words, point_words, quality_words

ROWS_MAX = 1_500
"""Points a page draws and lists; the files have them all."""
_COARSE_S = {
    Resolution.DAY: 86_400,
    Resolution.WEEK: 7 * 86_400,
    Resolution.MONTH: 30 * 86_400,
    Resolution.YEAR: 365 * 86_400,
}
_HEAT_LABELS = 8
_MONTH_LABELS_MIN = 70  # more days than that, and months are named instead


class Row(msgspec.Struct, frozen=True):
    """One line of the table behind the bars."""

    words: str
    energy_kwh: float | None
    estimated_kwh: float
    missing_intervals: int
    quality: str
    """In words."""
    before_kwh: float | None


def table_rows(answer: Consumption, before: Consumption | None) -> list[Row]:
    """Return the points as lines of a table."""
    points = answer.points[:ROWS_MAX]
    words = point_words([point.starts_at for point in points], resolution=answer.resolution)
    of_before = _by_place(before)
    return [
        Row(
            said,
            point.energy_kwh,
            point.estimated_kwh,
            point.missing_intervals,
            quality_words(point.quality),
            of_before.get(place),
        )
        for said, (place, point) in zip(words, _placed(points, answer), strict=True)
    ]


def bars(answer: Consumption, before: Consumption | None, *, interval_s: int) -> list[Bar]:
    """Return the points as bars, those still to come with what was before in their place."""
    points = answer.points[:ROWS_MAX]
    of_before = _by_place(before)
    placed = dict(_placed(points, answer))
    last = max(placed, default=())
    ahead = [place for place in of_before if place > last][: ROWS_MAX - len(placed)]
    starts = [point.starts_at for point in points]
    words = point_words(starts, resolution=answer.resolution)
    begins = [_begin_of(place, answer) for place in ahead]
    ticks = tick_words(starts + begins, resolution=answer.resolution)
    drawn = [
        Bar(
            _hover(said, point, of_before.get(place)),
            tick,
            point.energy_kwh,
            point.estimated_kwh,
            _missing_share(point, answer.resolution, interval_s=interval_s),
            of_before.get(place),
        )
        for (place, point), said, tick in zip(placed.items(), words, ticks, strict=False)
    ]
    drawn += [
        Bar(_ahead_words(of_before[place]), tick, None, before_kwh=of_before[place])
        for place, tick in zip(ahead, ticks[len(placed) :], strict=True)
    ]
    return drawn


def heat_rows(found: DaysByTime) -> list[HeatRow]:
    """Return the days as rows of a heat map."""
    years = len({one.year for one in found.days}) > 1
    apart = -(-len(found.days) // _HEAT_LABELS)
    by_month = len(found.days) > _MONTH_LABELS_MIN
    rows = []
    for place, (one, cells) in enumerate(zip(found.days, found.energy_wh, strict=True)):
        named = one.day == 1 if by_month else place % apart == 0
        rows.append(
            HeatRow(
                day(one, "yMMMEd" if years else "MMMEd"),
                day(one, "MMM" if by_month else "MMMd") if named else "",
                cells,
                found.missing[place],
            )
        )
    return rows


def column_words(columns: Sequence[TimeOfDay]) -> list[str]:
    """Return what the times of day are called; the second run of a repeated hour says so."""
    again = gettext("{time}, second time")
    return [again.format(time=_clock(one)) if one.is_repeated else _clock(one) for one in columns]


def column_ticks(columns: Sequence[TimeOfDay]) -> list[tuple[int, str]]:
    """Return which columns are named under the map."""
    return [
        (place, _clock(one))
        for place, one in enumerate(columns)
        if not one.is_repeated and one.minute % 360 == 0
    ]


def _clock(time: TimeOfDay) -> str:
    return clock(datetime(2000, 1, 1, time.minute // 60, time.minute % 60))  # noqa: DTZ001 no day


def _hover(words: str, point: ConsumptionPoint, before_kwh: float | None) -> str:
    lines = [words]
    if point.energy_kwh is None:
        lines.append(f"<b>{gettext('missing')}</b>")
    else:
        lines.append(f"<b>{kwh(point.energy_kwh)} kWh</b>")
        if point.estimated_kwh:
            estimated = gettext("{energy} kWh of it estimated")
            lines.append(estimated.format(energy=kwh(point.estimated_kwh)))
        if point.missing_intervals:
            lines.append(missing_words(point.missing_intervals))
    if before_kwh is not None:
        lines.append(gettext("before: {energy} kWh").format(energy=kwh(before_kwh)))
    return "<br>".join(lines)


def _ahead_words(before_kwh: float | None) -> str:
    said = gettext("still to come")
    if before_kwh is None:
        return said
    return f"{said}<br>{gettext('before: {energy} kWh').format(energy=kwh(before_kwh))}"


def _begin_of(place: tuple[int, ...], answer: Consumption) -> str:
    """Return when the point at a place begins that is still to come, on the clock of the period."""
    first = datetime.fromisoformat(answer.starts_at).replace(tzinfo=None)
    if answer.resolution in FINE_S:
        days, hour, _, minute = place
        return (first + timedelta(days=days, hours=hour, minutes=minute % 60)).isoformat()
    [number] = place
    if answer.resolution is Resolution.MONTH:
        month = first.month - 1 + number
        return first.replace(year=first.year + month // 12, month=month % 12 + 1).isoformat()
    steps = {Resolution.DAY: 1, Resolution.WEEK: 7}.get(answer.resolution, 366)
    return (first + timedelta(days=number * steps)).isoformat()


def _missing_share(point: ConsumptionPoint, resolution: Resolution, *, interval_s: int) -> float:
    if point.energy_kwh is None:
        return 1.0
    if not point.missing_intervals:
        return 0.0
    seconds = (FINE_S | _COARSE_S)[resolution]
    return min(point.missing_intervals * interval_s / seconds, 1.0)


def _by_place(answer: Consumption | None) -> dict[tuple[int, ...], float | None]:
    if answer is None:
        return {}
    placed = _placed(answer.points[:ROWS_MAX], answer)
    return {place: point.energy_kwh for place, point in placed}


def _placed(
    points: Sequence[ConsumptionPoint], answer: Consumption
) -> list[tuple[tuple[int, ...], ConsumptionPoint]]:
    """Return each point with its place in the period, beside which another period's is put."""
    if answer.resolution not in FINE_S:
        return [((number,), point) for number, point in enumerate(points)]
    first = datetime.fromisoformat(answer.starts_at)
    hour_only = datetime.fromisoformat(answer.ends_at) - first <= timedelta(hours=1)
    placed = []
    seen: set[tuple[int, ...]] = set()
    for point in points:
        time = datetime.fromisoformat(point.starts_at)
        days = (time.date() - first.date()).days
        minute = time.minute if hour_only else time.hour * 60 + time.minute
        place: tuple[int, ...] = (days, minute // 60, 0, minute)
        if place in seen:  # the second run of an hour that the clock repeats
            place = (days, minute // 60, 1, minute)
        seen.add(place)
        placed.append((place, point))
    return placed
