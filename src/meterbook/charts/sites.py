"""Charts of sites and hosts: energy of roof and grid, and what is of the moment with its spread."""

from collections.abc import Sequence

from meterbook.charts import theme
from meterbook.charts.theme import Figure

Column = Sequence[float | None]


def site_chart(
    columns: Sequence[str],
    *,
    ticks: Sequence[str],
    production: Column,
    grid_import: Column,
    grid_export: Column,
    clear_sky: Column,
    words: Sequence[str],
    separators: str = ".,",
) -> Figure:
    """
    Return roof and import above the line, export below it, and the clear sky as a dashed line.

    :param columns: what each point is called; the energies are kWh of the same length.
    :param ticks: the same in short, for the axis.
    :param words: what production, import, export and clear sky are called.
    """
    below = [None if energy is None else -energy for energy in grid_export]
    traces = [
        _bar(columns, production, name=words[0], colour=theme.SERIES[2]),
        _bar(columns, grid_import, name=words[1], colour=theme.IMPORT),
        _bar(columns, below, name=words[2], colour=theme.EXPORT),
    ]
    if any(clear_sky):
        traces.append(_clear_sky(clear_sky, name=words[3]))
    return {
        "data": [trace for trace in traces if any(y is not None for y in trace["y"])],
        "layout": theme.layout(
            separators=separators,
            barmode="relative",
            bargap=0.05,
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
            margin={"l": 56, "r": 8, "t": 40, "b": 40},
            xaxis=theme.axis_of_columns(ticks),
            yaxis={"ticksuffix": " kWh", "rangemode": "normal"},
        ),
    }


def _bar(columns: Sequence[str], energies: Column, *, name: str, colour: str) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": list(range(len(columns))),
        "y": list(energies),
        "customdata": list(columns),
        "marker": {"color": colour},
        "hovertemplate": "%{y:,.3f} kWh",
    }


def _clear_sky(energies: Column, *, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(range(len(energies))),
        "y": list(energies),
        "line": {"color": theme.FAINT, "dash": "dot", "width": 1.5},
        "hovertemplate": "%{y:,.3f} kWh",
    }


def energy_chart(
    columns: Sequence[str],
    energies: Column,
    *,
    ticks: Sequence[str],
    estimated: Sequence[bool],
    unit: str,
    is_export: bool,
    separators: str = ".,",
) -> Figure:
    """
    Return a counter's energy as bars; None is a gap, what is estimated has its own colour.

    :param estimated: of each point, whether some of it is.
    """
    own = theme.EXPORT if is_export else theme.IMPORT
    return {
        "data": [
            {
                "type": "bar",
                "x": list(range(len(columns))),
                "y": list(energies),
                "customdata": list(columns),
                "marker": {"color": [theme.ESTIMATED if part else own for part in estimated]},
                "hovertemplate": f"%{{customdata}}<br>%{{y:,.3f}} {unit}<extra></extra>",
            }
        ],
        "layout": _layout(ticks, unit=unit, separators=separators, rangemode="tozero"),
    }


def moment_chart(
    columns: Sequence[str],
    means: Column,
    *,
    ticks: Sequence[str],
    lowest: Column,
    highest: Column,
    unit: str,
    separators: str = ".,",
) -> Figure:
    """Return a line of means in the band from least to greatest; None breaks it."""
    x = list(range(len(columns)))
    edge = {"color": theme.IMPORT_BEFORE, "width": 0}
    return {
        "data": [
            {"type": "scatter", "mode": "lines", "x": x, "y": list(lowest), "line": edge,
             "hoverinfo": "skip"},
            {"type": "scatter", "mode": "lines", "x": x, "y": list(highest), "line": edge,
             "fill": "tonexty", "fillcolor": theme.IMPORT_BEFORE, "hoverinfo": "skip"},
            {"type": "scatter", "mode": "lines", "x": x, "y": list(means),
             "customdata": list(columns), "line": {"color": theme.IMPORT, "width": 1.5},
             "hovertemplate": f"%{{customdata}}<br>%{{y:,.3f}} {unit}<extra></extra>"},
        ],
        "layout": _layout(ticks, unit=unit, separators=separators, rangemode="normal"),
    }  # fmt: skip


def _layout(ticks: Sequence[str], *, unit: str, separators: str, rangemode: str) -> Figure:
    return theme.layout(
        separators=separators,
        hovermode="x",
        bargap=0.05,
        xaxis=theme.axis_of_columns(ticks),
        yaxis={"ticksuffix": f" {unit}", "rangemode": rangemode},
        margin={"l": 56, "r": 8, "t": 8, "b": 40},
    )
