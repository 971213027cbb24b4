"""Which intervals of a day belong to which point of an answer, and which of them count already."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from meterbook.domain.periods import FINE_S, Period, Resolution, bucket_day, bucket_key
from meterbook.queries.channel_days import DayReadings
from meterbook.registry.refusals import WrongFieldError


def require_few_points(period: Period, resolution: Resolution, *, points_max: int) -> None:
    """
    Make sure that an answer does not have more points than that.

    Only those finer than a day are counted: a hundred years have 36,525 days.

    :raises WrongFieldError: if it has.
    """
    length_s = period.ends_at - period.starts_at
    if resolution in FINE_S and length_s > points_max * FINE_S[resolution]:
        raise WrongFieldError("resolution", f"would be more than {points_max} points")


def by_point(
    day: DayReadings, *, period: Period, now: int, resolution: Resolution, zone: ZoneInfo
) -> Iterator[tuple[object, Sequence[int]]]:
    """Yield the day's intervals that count, by their index, for each point they belong to."""
    indices = ended_intervals(day, period=period, now=now)
    if not indices:
        return
    if resolution not in FINE_S:
        yield bucket_day(day.day, resolution=resolution), indices
        return

    def key(index: int) -> tuple[object, ...]:
        instant = day.starts_at + index * day.interval_s
        return bucket_key(instant, zone=zone, resolution=resolution)

    for name, group in groupby(indices, key):
        yield name, list(group)


def ended_intervals(day: DayReadings, *, period: Period, now: int) -> Sequence[int]:
    """Return the day's intervals that count in the period, by their index: those that ended."""
    length_s = day.interval_s
    first = max(0, -((day.starts_at - period.starts_at) // length_s))
    end = min(len(day.amounts), -((day.starts_at - period.ends_at) // length_s))
    ended = (now - day.starts_at) // length_s
    if end <= ended:
        return range(first, end)
    # An interval that has not ended counts only if its reading is here already.
    return [i for i in range(first, end) if i < ended or day.amounts[i] is not None]
