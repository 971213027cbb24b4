"""How pages say periods and times; the JSON of the same routes says them in ISO 8601."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from meterbook.domain.periods import Resolution
from meterbook.web.languages import gettext, marked

PERIOD_WORDS = {
    "prev-hr": marked("Last hour"),
    "current-day": marked("Today"),
    "prev-day": marked("Yesterday"),
    "current-week": marked("This week"),
    "prev-week": marked("Last week"),
    "current-month": marked("This month"),
    "prev-month": marked("Last month"),
    "current-year": marked("This year"),
    "last-30-days": marked("30 days"),
}
"""Period name to what its link says, to be translated."""


def period_words(name: str) -> str:
    """Return what the period is called, in the reader's language."""
    return gettext(PERIOD_WORDS[name])


def range_words(starts_at: str, ends_at: str) -> str:
    """
    Return a half-open range of local times as people write it: whole days by first and last day.

    >>> range_words("2025-02-01T00:00:00+00:00", "2025-03-01T00:00:00+00:00")
    '1 Feb 2025 to 28 Feb 2025'
    >>> range_words("2025-02-08T09:00:00+00:00", "2025-02-08T10:00:00+00:00")
    '8 Feb 2025, 09:00 to 10:00'
    """
    begin, end = datetime.fromisoformat(starts_at), datetime.fromisoformat(ends_at)
    if begin.time() == end.time() == time():
        last = end.date() - timedelta(days=1)
        if last <= begin.date():
            return _day(begin)
        return f"{_day(begin)} to {_day(datetime.combine(last, time()))}"
    return f"{_day(begin)}, {begin:%H:%M} to {end:%H:%M}"


def point_words(starts_at: Sequence[str], *, resolution: Resolution) -> list[str]:
    """
    Return each point's beginning, with the year only where they are of several.

    The hour that the clock repeats in autumn has its offset added.

    >>> point_words(["2025-02-08T00:30:00+00:00"], resolution=Resolution.HALF_HOUR)
    ['Sat 8 Feb, 00:30']
    >>> point_words(["2025-02-03T00:00:00+00:00"], resolution=Resolution.WEEK)
    ['week of 3 Feb']
    """
    years = len({text[:4] for text in starts_at}) > 1
    words: list[str] = []
    for text in starts_at:
        said = _point(datetime.fromisoformat(text), resolution, years=years)
        words.append(f"{said} ({text[-6:]})" if words[-4:].count(said) else said)
    return words


def _point(begin: datetime, resolution: Resolution, *, years: bool) -> str:
    day = _day(begin) if years else f"{begin.day} {begin:%b}"
    match resolution:
        case Resolution.YEAR:
            return f"{begin:%Y}"
        case Resolution.MONTH:
            return f"{begin:%B %Y}"
        case Resolution.WEEK:
            return f"week of {day}"
        case Resolution.DAY:
            return f"{begin:%a} {day}"
        case Resolution.HALF_HOUR | Resolution.HOUR:
            return f"{begin:%a} {day}, {begin:%H:%M}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"
