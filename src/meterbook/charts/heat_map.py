"""
Days by the time of day as a heat map: a life's rhythm at a glance.

A cell that is missing is grey with a cross, one that has no such time (the clock jumped, or it is
still to come) is left out; neither is the colour of zero.
"""

from collections.abc import Sequence

import msgspec

from meterbook.charts import theme
from meterbook.charts.theme import Figure

_STEPS = (0, 0.06, 0.2, 0.5, 1)  # most of a day is quiet: the quiet end has more shades
_CROSSES_MAX = 400  # more of them are slow to draw, and the grey is a surface by then


class HeatRow(msgspec.Struct, frozen=True):
    """One day."""

    words: str
    tick: str
    """What stands beside it; empty: nothing."""
    energy_wh: list[int | None]
    """One a column."""
    missing: list[int]
    """The columns that are missing."""


def heat_map(
    rows: Sequence[HeatRow],
    *,
    columns: Sequence[str],
    ticks: Sequence[tuple[int, str]],
    missing_words: str,
    separators: str = ".,",
) -> Figure:
    """
    Return the map, the first day on top, in kWh.

    :param columns: what each is called.
    :param ticks: which columns are named under the map, and how.
    :param missing_words: what is said of a missing cell.
    """
    shared: Figure = {"type": "heatmap", "x": list(columns), "y": [row.words for row in rows]}
    traces = [shared | _known(rows)]
    crosses = [(columns[column], row.words) for row in rows for column in row.missing]
    if crosses:
        traces.append(
            {
                **shared,
                "z": _only_missing(rows, width=len(columns)),
                "colorscale": [[0, theme.MISSING_UNDER], [1, theme.MISSING_UNDER]],
                "showscale": False,
                "hoverongaps": False,
                "hovertemplate": f"%{{y}}, %{{x}}<br>{missing_words}<extra></extra>",
            }
        )
    if 0 < len(crosses) <= _CROSSES_MAX:
        traces.append(_crosses(crosses))
    layout = theme.layout(
        separators=separators,
        hovermode="closest",
        xaxis={
            "type": "category",
            "tickvals": [columns[place] for place, _ in ticks],
            "ticktext": [words for _, words in ticks],
            "tickangle": 0,
        },
        yaxis={
            "type": "category",
            "autorange": "reversed",
            "showgrid": False,
            "tickvals": [row.words for row in rows if row.tick],
            "ticktext": [row.tick for row in rows if row.tick],
        },
    )
    return {"data": traces, "layout": layout}


def _known(rows: Sequence[HeatRow]) -> Figure:
    return {
        "z": [[theme.kwh(amount) for amount in row.energy_wh] for row in rows],
        "zmin": 0,
        "colorscale": [[place, shade] for place, shade in zip(_STEPS, theme.HEAT, strict=True)],
        "hoverongaps": False,
        "hovertemplate": "%{y}, %{x}<br><b>%{z:.3f} kWh</b><extra></extra>",
        "colorbar": {
            "orientation": "h",
            "thickness": 8,
            "outlinewidth": 0,
            "ticksuffix": " kWh",
            "showticksuffix": "last",
            "nticks": 3,
            "tickangle": 0,
            "len": 0.6,
            "x": 0,
            "xanchor": "left",
            "y": -0.12,
            "yanchor": "top",
            "ypad": 0,
        },
    }


def _only_missing(rows: Sequence[HeatRow], *, width: int) -> list[list[int | None]]:
    cells = []
    for row in rows:
        of_row: list[int | None] = [None] * width
        for column in row.missing:
            of_row[column] = 1
        cells.append(of_row)
    return cells


def _crosses(places: Sequence[tuple[str, str]]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [column for column, _ in places],
        "y": [day for _, day in places],
        "hoverinfo": "skip",
        "marker": {"symbol": "x-thin", "size": 5, "line": {"color": theme.MISSING, "width": 1}},
    }
