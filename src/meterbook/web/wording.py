"""How pages say periods, times and qualities; the JSON of the same routes says them in ISO 8601."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from meterbook.domain.periods import Resolution
from meterbook.web.formats import clock, day
from meterbook.web.languages import gettext, marked, ngettext

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

BEFORE_WORDS = {
    "prev-hr": marked("the hour before"),
    "current-day": marked("yesterday by the same time"),
    "prev-day": marked("the day before"),
    "current-week": marked("last week by the same time"),
    "prev-week": marked("the week before"),
    "current-month": marked("last month by the same time"),
    "prev-month": marked("the month before"),
    "current-year": marked("last year by the same time"),
    "range": marked("the same time before"),
}
"""Period name to what it is compared with."""

RESOLUTION_WORDS = {
    Resolution.MINUTE: marked("Minutes"),
    Resolution.FIVE_MINUTES: marked("Five minutes"),
    Resolution.QUARTER_HOUR: marked("Quarter hours"),
    Resolution.HALF_HOUR: marked("Half hours"),
    Resolution.HOUR: marked("Hours"),
    Resolution.DAY: marked("Days"),
    Resolution.WEEK: marked("Weeks"),
    Resolution.MONTH: marked("Months"),
    Resolution.YEAR: marked("Years"),
}

QUALITY_WORDS = {
    "valid": marked("checked"),
    "edited": marked("edited"),
    "estimated-like-day": marked("estimated, like a similar day"),
    "estimated-interpolated": marked("estimated, between neighbours"),
    "questionable": marked("questionable"),
    "derived": marked("derived"),
    "mixed": marked("mixed"),
    "raw": marked("as received"),
}
"""Word of the API to what pages say."""


def period_words(name: str) -> str:
    """Return what the period is called, in the reader's language."""
    return gettext(PERIOD_WORDS[name])


def missing_words(count: int) -> str:
    """Return how many intervals are missing."""
    return ngettext("%(count)s interval missing", "%(count)s intervals missing", count) % {
        "count": count
    }


def before_words(name: str) -> str:
    """Return what the period is compared with."""
    return gettext(BEFORE_WORDS[name])


def quality_words(word: str | None) -> str:
    """Return what the quality is called; a dash where nothing is known."""
    return "\N{EN DASH}" if word is None else gettext(QUALITY_WORDS[word])


def range_words(starts_at: str, ends_at: str) -> str:
    """
    Return a half-open range of local times as people write it: whole days by first and last day.

    >>> range_words("2025-02-01T00:00:00+00:00", "2025-02-08T00:00:00+00:00")
    '1 Feb 2025 to 7 Feb 2025'
    >>> range_words("2025-02-01T00:00:00+00:00", "2025-03-01T00:00:00+00:00")
    'February 2025'
    >>> range_words("2025-02-08T09:00:00+00:00", "2025-02-08T10:00:00+00:00")
    '8 Feb 2025, 09:00 to 10:00'
    """
    begin, end = datetime.fromisoformat(starts_at), datetime.fromisoformat(ends_at)
    if not begin.time() == end.time() == time():
        begins = f"{day(begin)}, {clock(begin)}"
        return gettext("{first} to {last}").format(first=begins, last=clock(end))
    last = end.date() - timedelta(days=1)
    if last <= begin.date():
        return day(begin, "yMMMEd")
    if begin.day == end.day == 1:
        if begin.month == end.month == 1 and end.year == begin.year + 1:
            return day(begin, "y")
        if (end.year - begin.year) * 12 + end.month - begin.month == 1:
            return day(begin, "yMMMM")
    return gettext("{first} to {last}").format(first=day(begin), last=day(last))


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
    match resolution:
        case Resolution.YEAR:
            return day(begin, "y")
        case Resolution.MONTH:
            return day(begin, "yMMMM")
        case Resolution.WEEK:
            return gettext("week of {day}").format(day=day(begin, "yMMMd" if years else "MMMd"))
        case Resolution.DAY:
            return _weekday(begin, years=years)
        case _:
            return f"{_weekday(begin, years=years)}, {clock(begin)}"


def _weekday(begin: date, *, years: bool) -> str:
    return day(begin, "yMMMEd" if years else "MMMEd")
