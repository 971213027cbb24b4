"""
How charts look: the only place that names their colours, and where kWh begin.

A colour is a token of the stylesheet ("@import"), not a shade: the page looks it up when it draws,
so light and dark need no second figure. `painted` does the same for whoever draws without a page.
"""

from collections.abc import Sequence
from typing import Any

from meterbook.domain.units import wh_to_kwh

Figure = dict[str, Any]
"""`data`, `layout` and, where it differs, `config`, as Plotly's figure schema has them."""

_TICKS_MAX = 8
# Whole hours and parts of days for columns of minutes, five minutes and half-hours alike.
_TICK_STEPS = (1, 2, 3, 4, 6, 12, 24, 36, 48, 60, 120, 180, 240, 360)

IMPORT = "@import"
IMPORT_BEFORE = "@import-ghost"
EXPORT = "@export"
EXPORT_BEFORE = "@export-ghost"
ESTIMATED = "@estimated"
ESTIMATED_UNDER = "@estimated-wash"
MISSING = "@missing"
MISSING_UNDER = "@missing-wash"
ALARM = "@alarm"
INK = "@ink"
FAINT = "@faint"
LINE = "@line"
CARD = "@card"
WELL = "@well"
HEAT = ("@heat-0", "@heat-1", "@heat-2", "@heat-3", "@heat-4")
"""From nothing to much."""
SERIES = ("@series-1", "@series-2", "@series-3", "@series-4", "@series-5", "@series-6")
"""For things that have no colour of their own, such as regions."""

LIGHT_AND_DARK: dict[str, tuple[str, str]] = {
    "import": ("#1f6aa5", "#6db3ec"),
    "import-ghost": ("#b7cddf", "#35536b"),
    "export": ("#8f5600", "#eeb04f"),
    "export-ghost": ("#e8cfa6", "#5f4a26"),
    "estimated": ("#6f46a8", "#bda2ea"),
    "estimated-wash": ("#f1eaf9", "#282036"),
    "missing": ("#74736b", "#8d9691"),
    "missing-wash": ("#e9e7e0", "#252a28"),
    "alarm": ("#ab2318", "#ff9d92"),
    "ink": ("#1a1f1d", "#e8ebe6"),
    "faint": ("#5a625e", "#a3ada8"),
    "line": ("#dfdcd3", "#2f3533"),
    "card": ("#ffffff", "#191d1c"),
    "well": ("#eeece5", "#222725"),
    "heat-0": ("#edf3f8", "#1c2733"),
    "heat-1": ("#bcd6ea", "#234a6c"),
    "heat-2": ("#79add6", "#2f74ac"),
    "heat-3": ("#2f77b3", "#62addf"),
    "heat-4": ("#0d3f6b", "#cfe8fb"),
    "series-1": ("#1f6aa5", "#6db3ec"),
    "series-2": ("#b0651a", "#eeb04f"),
    "series-3": ("#2f7d5b", "#7fd0a8"),
    "series-4": ("#7c52b3", "#bda2ea"),
    "series-5": ("#b03a5b", "#f29bb2"),
    "series-6": ("#5f6b2d", "#c3cf86"),
}
"""Token to its shades on light and on dark paper; the stylesheet has the same, a test compares."""


def kwh(energy_wh: int | None) -> float | None:
    """Return energy as charts show it; None stays None: a gap, never zero."""
    return None if energy_wh is None else wh_to_kwh(energy_wh)


def layout(*, separators: str = ".,", **more: Any) -> Figure:
    """
    Return the layout all charts share, with more of one's own laid over it.

    :param separators: Plotly's: the decimal sign, then that of thousands.
    """
    shared: Figure = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": FAINT, "size": 12},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 24},
        "showlegend": False,
        "bargap": 0.18,
        "barmode": "overlay",
        "dragmode": False,
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": CARD, "bordercolor": LINE, "font": {"color": INK, "size": 13}},
        "separators": separators,
        "xaxis": axis(showgrid=False, zeroline=False),
        "yaxis": axis(rangemode="tozero", nticks=5),
    }
    return laid_over(shared, more)


def axis(**more: Any) -> Figure:
    """Return an axis as all charts have it, with more of one's own laid over it."""
    shared: Figure = {
        "gridcolor": LINE,
        "linecolor": LINE,
        "zerolinecolor": LINE,
        "tickcolor": LINE,
        "fixedrange": True,
        "automargin": True,
        "ticks": "",
    }
    return laid_over(shared, more)


def laid_over(under: Figure, over: Figure) -> Figure:
    """Return both dicts as one; where both say something, the second counts."""
    both = dict(under)
    for name, said in over.items():
        below = both.get(name)
        if isinstance(said, dict) and isinstance(below, dict):
            both[name] = laid_over(below, said)
        else:
            both[name] = said
    return both


def painted(part: Any, *, dark: bool = False) -> Any:
    """Return the figure, or a part of it, with shades in place of tokens."""
    if isinstance(part, str) and part.startswith("@"):
        return LIGHT_AND_DARK[part[1:]][dark]
    if isinstance(part, dict):
        return {name: painted(inner, dark=dark) for name, inner in part.items()}
    if isinstance(part, list | tuple):
        return [painted(inner, dark=dark) for inner in part]
    return part


def axis_of_columns(words: Sequence[str]) -> Figure:
    """Return an axis of columns side by side, with words under some of them at whole steps."""
    fitting = (step for step in _TICK_STEPS if len(words) <= step * _TICKS_MAX)
    step = next(fitting, -(-len(words) // _TICKS_MAX))
    at = list(range(0, len(words), step))
    return {
        "tickvals": at,
        "ticktext": [words[index] for index in at],
        "range": [-0.6, max(len(words), 1) - 0.4],
        "showgrid": False,
        "hoverformat": "",
    }
