"""The addresses of a consumption page's neighbours: the state of a page is its address."""

from collections.abc import Mapping
from datetime import date, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.period_steps import days_of, stepped
from meterbook.domain.periods import FINE_S, PERIOD_NAMES, Period, Resolution
from meterbook.web.languages import gettext
from meterbook.web.wording import RESOLUTION_WORDS, period_words

# Resolutions a page offers: from so many days, up to so many.
_OFFERED = {
    Resolution.MINUTE: (0, 1),
    Resolution.FIVE_MINUTES: (0, 3),
    Resolution.QUARTER_HOUR: (0, 8),
    Resolution.HALF_HOUR: (0, 8),
    Resolution.HOUR: (0, 32),
    Resolution.DAY: (2, 800),
    Resolution.WEEK: (14, 4_000),
    Resolution.MONTH: (32, 40_000),
    Resolution.YEAR: (400, 40_000),
}


class Choice(msgspec.Struct, frozen=True):
    """One of several views of the same."""

    words: str
    href: str
    is_here: bool


class ConsumptionLinks(msgspec.Struct, frozen=True):
    """Every way on from a consumption page."""

    periods: list[Choice]
    resolutions: list[Choice]
    flows: list[Choice]
    """Empty where there is only one."""
    earlier: str | None
    later: str | None
    first_day: str
    """For the fields of a free range; ISO 8601."""
    last_day: str
    """The last day in it."""
    today: str
    csv: str
    json: str
    half_hours_csv: str


def consumption_links(
    *,
    period: Period,
    resolution: Resolution,
    flow: str,
    has_export: bool,
    interval_s: int,
    zone: ZoneInfo,
    today: date,
) -> ConsumptionLinks:
    """Return the links of the page that shows the period."""
    of_flow = {"flow": flow} if flow != "import" else {}
    days = days_of(period, zone=zone)
    here = _days(days) if period.name == "range" and days else {"period": period.name}
    of_resolution = {} if resolution is period.resolution else {"resolution": resolution.value}
    first, end = days or (today, today + timedelta(days=1))
    length = (end - first).days if days else 0
    state = here | of_resolution | of_flow
    return ConsumptionLinks(
        periods=[
            Choice(period_words(name), _href({"period": name} | of_flow), name == period.name)
            for name in PERIOD_NAMES
        ],
        resolutions=[
            Choice(
                gettext(words),
                _href(here | {"resolution": one.value} | of_flow),
                one is resolution,
            )
            for one, words in RESOLUTION_WORDS.items()
            if one is resolution
            or (
                _OFFERED[one][0] <= length <= _OFFERED[one][1]
                and FINE_S.get(one, interval_s) >= interval_s
            )
        ],
        flows=_flows(here | of_resolution, flow) if has_export else [],
        earlier=_step(days, -1, of_flow, today),
        later=_step(days, 1, of_flow, today),
        first_day=first.isoformat(),
        last_day=(end - timedelta(days=1)).isoformat(),
        today=today.isoformat(),
        csv=_href(state | {"format": "csv"}),
        json=_href(state | {"format": "json"}),
        half_hours_csv=_href(here | of_flow | {"resolution": "half-hour", "format": "csv"}),
    )


def _flows(state: Mapping[str, str], flow: str) -> list[Choice]:
    words = {"import": gettext("Consumption"), "export": gettext("Production")}
    return [
        Choice(said, _href({**state, **({"flow": name} if name != "import" else {})}), name == flow)
        for name, said in words.items()
    ]


def _step(
    days: tuple[date, date] | None, steps: int, more: Mapping[str, str], today: date
) -> str | None:
    neighbour = days and stepped(*days, steps=steps)
    if not neighbour or (steps > 0 and neighbour[0] > today):
        return None
    return _href({**_days(neighbour), **more})


def _days(days: tuple[date, date]) -> dict[str, str]:
    return {"from": days[0].isoformat(), "to": days[1].isoformat()}


def _href(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}"
