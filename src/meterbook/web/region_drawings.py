"""How regions are drawn: as series of a chart with the table behind it, and on the map."""

from datetime import date
from functools import lru_cache

import msgspec

from meterbook.charts.regions import SERIES_MAX, gaps_chart, stacked_chart
from meterbook.charts.theme import Figure
from meterbook.domain.region_shapes import RegionMap, RegionShape
from meterbook.queries.region_dashboard import RegionDashboard, RegionFigures
from meterbook.web import formats
from meterbook.web.languages import gettext, language, ngettext

_KWH_IN_MWH = 1000
_MWH_FROM_KWH = 20_000
COMPLETE_DAYS_MAX = 62  # columns of the heat map that can still be told apart
_SHADES = 5


class DrawnSeries(msgspec.Struct, frozen=True):
    """A chart and the table behind it."""

    figure: Figure
    columns: list[str]
    """What each day or month is called."""
    rows: dict[str, list[str]]
    """Region's words to what each cell says, as long as columns."""
    summary: str


class DrawnRegion(msgspec.Struct, frozen=True):
    """One region of the map."""

    shape: RegionShape
    shade: int
    """0 to 4: how much it used, against the one that used most."""
    figures: RegionFigures | None


class DrawnMap(msgspec.Struct, frozen=True):
    """The map, coloured."""

    width: int
    height: int
    regions: list[DrawnRegion]


def region_words(region: str) -> str:
    """Return what a region is called: meters of no region have words too."""
    return region or gettext("No region")


def separators() -> str:
    """Return the decimal sign and that of thousands, as Plotly wants them."""
    sample = formats.number(1234.5, 1)
    return sample[-2] + sample[1]


def series_of(answer: RegionDashboard) -> DrawnSeries:
    """Return the regions stacked by day or month: the largest by themselves, the rest as one."""
    starts = sorted({point.starts_on for point in answer.points})
    columns = _columns(starts, monthly=answer.resolution == "month")
    energy = {(point.region, point.starts_on): point.energy_kwh for point in answer.points}
    names = [figures.region for figures in answer.regions if figures.total_kwh]
    alone = names if len(names) <= SERIES_MAX else names[: SERIES_MAX - 1]
    series = {region_words(name): [energy.get((name, s)) for s in starts] for name in alone}
    if rest := names[len(alone) :]:
        together = ngettext("%(count)s more region", "%(count)s more regions", len(rest))
        series[together % {"count": len(rest)}] = [
            round(sum(energy.get((name, s), 0.0) for name in rest), 3) for s in starts
        ]
    largest = max((p.energy_kwh for p in answer.points), default=0.0)
    in_mwh = largest >= _MWH_FROM_KWH
    scaled = {
        name: [None if e is None else e / (_KWH_IN_MWH if in_mwh else 1) for e in energies]
        for name, energies in series.items()
    }
    figure = stacked_chart(
        columns, scaled, unit="MWh" if in_mwh else "kWh", separators=separators()
    )
    rows = {
        region_words(name): [
            formats.kwh(energy[name, s]) if (name, s) in energy else "–" for s in starts
        ]
        for name in names
    }
    summary = ngettext(
        "Energy of %(regions)s region: %(total)s kWh in all",
        "Energy of %(regions)s regions: %(total)s kWh in all",
        len(names),
    ) % {
        "regions": len(names),
        "total": formats.kwh(answer.total_kwh),
    }
    return DrawnSeries(figure, columns, rows, summary)


def completeness_of(answer: RegionDashboard) -> DrawnSeries:
    """Return how complete each region is, day by day; of long periods the last days."""
    starts = sorted({point.starts_on for point in answer.points})[-COMPLETE_DAYS_MAX:]
    columns = _columns(starts, monthly=answer.resolution == "month")
    shares = {(point.region, point.starts_on): point.completeness for point in answer.points}
    names = sorted({point.region for point in answer.points})
    by_region = {region_words(n): [shares.get((n, s)) for s in starts] for n in names}
    rows = {
        name: ["–" if share is None else formats.percent(share) for share in cells]
        for name, cells in by_region.items()
    }
    whole = [figures.completeness for figures in answer.regions if figures.completeness is not None]
    summary = gettext(
        "Readings that came, of those expected: at least %(share)s in every region"
    ) % {"share": formats.percent(min(whole, default=0.0))}
    return DrawnSeries(gaps_chart(columns, by_region), columns, rows, summary)


def drawn_map(answer: RegionDashboard, shapes: RegionMap | None) -> DrawnMap | None:
    """Return the map with each region's shade; None where the settings name no shapes."""
    if shapes is None:
        return None
    figures = {each.region: each for each in answer.regions}
    most = max((each.total_kwh for each in answer.regions), default=0.0)
    regions = [
        DrawnRegion(shape, _shade(figures.get(shape.region), most), figures.get(shape.region))
        for shape in shapes.shapes
    ]
    return DrawnMap(shapes.width, shapes.height, regions)


def _shade(figures: RegionFigures | None, most: float) -> int:
    if figures is None or not most:
        return 0
    return min(_SHADES - 1, int(figures.total_kwh / most * _SHADES))


def _columns(starts: list[str], *, monthly: bool) -> list[str]:
    return [_column(start, monthly, language().code) for start in starts]


@lru_cache(maxsize=4096)
def _column(start: str, monthly: bool, code: str) -> str:  # noqa: ARG001 the language is part of what is kept
    return formats.day(date.fromisoformat(start), "yMMM" if monthly else "MMMEd")
