"""Charts of regions: energy stacked over time, the shape of a day, and how complete days are."""

from collections.abc import Mapping, Sequence

from meterbook.charts import theme
from meterbook.charts.theme import Figure

SERIES_MAX = len(theme.SERIES)
_MISSING_PERCENT_DARKEST = 25  # a quarter missing is as bad as it gets to the eye
_HEAT = [[index / 4, colour] for index, colour in enumerate(theme.HEAT)]


def stacked_chart(
    columns: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    unit: str,
    separators: str = ".,",
) -> Figure:
    """
    Return regions stacked on each other, one column for each day or month.

    :param columns: what each column is called.
    :param series: the region's words to its energies, each of shape (columns,); None leaves a gap.
    :param unit: of the energies.
    """
    x = list(range(len(columns)))
    return {
        "data": [
            {
                "type": "bar",
                "name": name,
                "x": x,
                "y": list(energies),
                "customdata": list(columns),
                "marker": {"color": theme.SERIES[index % SERIES_MAX]},
                "hovertemplate": f"%{{y:,.1f}} {unit}",
            }
            for index, (name, energies) in enumerate(series.items())
        ],
        "layout": theme.layout(
            separators=separators,
            barmode="stack",
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
            margin={"l": 56, "r": 8, "t": 40, "b": 40},
            xaxis=theme.axis_of_columns(columns),
            yaxis={"ticksuffix": f" {unit}"},
        ),
    }


def profile_chart(
    columns: Sequence[str], energies: Sequence[float | None], *, unit: str, separators: str = ".,"
) -> Figure:
    """Return the half-hours of a day as bars; None is a gap."""
    return {
        "data": [
            {
                "type": "bar",
                "x": list(range(len(columns))),
                "y": list(energies),
                "marker": {"color": theme.IMPORT},
                "hovertemplate": f"%{{y:,.1f}} {unit}<extra></extra>",
            }
        ],
        "layout": theme.layout(
            separators=separators,
            xaxis=theme.axis_of_columns(columns),
            yaxis={"ticksuffix": f" {unit}"},
            margin={"l": 56, "r": 8, "t": 8, "b": 40},
        ),
    }


def gaps_chart(columns: Sequence[str], rows: Mapping[str, Sequence[float | None]]) -> Figure:
    """
    Return a heat map of regions by days: the darker, the more readings are missing.

    :param rows: the region's words to shares of 0 to 1 that came, each of shape (columns,).
    """
    names = list(rows)
    missing = [
        [None if share is None else (1 - share) * 100 for share in shares]
        for shares in rows.values()
    ]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": list(range(len(columns))),
                "y": list(range(len(names))),
                "z": missing,
                "customdata": [[f"{name}, {column}" for column in columns] for name in names],
                "zmin": 0,
                "zmax": _MISSING_PERCENT_DARKEST,
                "xgap": 2,
                "ygap": 2,
                "colorscale": _HEAT,
                "showscale": False,
                "hoverongaps": False,
                "hovertemplate": "%{customdata}: %{z:.1f} %<extra></extra>",
            }
        ],
        "layout": theme.layout(
            hovermode="closest",
            xaxis=theme.axis_of_columns(columns),
            yaxis={
                "autorange": "reversed",
                "showgrid": False,
                "zeroline": False,
                "rangemode": "normal",
                "tickvals": list(range(len(names))),
                "ticktext": names,
            },
            margin={"l": 8, "r": 8, "t": 8, "b": 40},
        ),
    }
