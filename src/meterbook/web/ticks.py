"""What stands under the bars of a chart: few enough words to be read on a telephone."""

from collections.abc import Sequence
from datetime import datetime

from meterbook.domain.periods import FINE_S, Resolution
from meterbook.web.formats import clock, day

_LABELS_MAX = 6
_HOURS_APART = 6
_WEEK_DAYS_MAX = 8  # so many days have room for their weekday
_MONTHS_MAX = 12  # so many months need no year
_TIMES_MAX = 4  # an hour or two: each has room for its time


def tick_words(starts_at: Sequence[str], *, resolution: Resolution) -> list[str]:
    """Return what stands under each point; empty: nothing."""
    times = [datetime.fromisoformat(text) for text in starts_at]
    if resolution in FINE_S:
        return _fine(times)
    if resolution is Resolution.DAY and len(times) <= _WEEK_DAYS_MAX:
        return [day(time, "Ed") for time in times]
    skeleton = {Resolution.MONTH: "yMMM", Resolution.YEAR: "y"}.get(resolution, "MMMd")
    if resolution is Resolution.MONTH and len(times) <= _MONTHS_MAX:
        skeleton = "MMM"
    apart = -(-len(times) // _LABELS_MAX)
    return [day(time, skeleton) if place % apart == 0 else "" for place, time in enumerate(times)]


def _fine(times: Sequence[datetime]) -> list[str]:
    days = sorted({time.date() for time in times})
    if len(times) <= _TIMES_MAX:
        return [clock(time) for time in times]
    if len(days) == 1:
        return [_hour(time) for time in times]
    apart = -(-len(days) // _LABELS_MAX)
    named = set(days[::apart])
    words = []
    for time in times:
        words.append(day(time, "MMMd") if time.date() in named else "")
        named.discard(time.date())
    return words


def _hour(time: datetime) -> str:
    return clock(time) if time.minute == 0 and time.hour % _HOURS_APART == 0 else ""
