"""
Energy in bars: one a half hour, hour, day, week, month or year.

    ▒▒  the period before, wide and pale behind      ▨  estimated, on top of what was measured
    ██  measured                                     ░  something is missing: a hatched band

A bar that is missing altogether has the band from top to bottom and no bar: it is never zero. Where
a part is missing, the band hangs from the top, as long as the part is large.
"""

from collections.abc import Sequence

import msgspec

from meterbook.charts import theme
from meterbook.charts.theme import Figure

_NOTHING_MISSING = 0.0
_SHARE_DRAWN_MIN = 0.05  # an hour of a day; less is told in words


class Bar(msgspec.Struct, frozen=True):
    """One bar."""

    hover: str
    """What is said of it when one points at it."""
    tick: str
    """What stands under it; empty: nothing."""
    energy_kwh: float | None
    """None: nothing known."""
    estimated_kwh: float = 0.0
    """The part of it that was estimated."""
    missing_share: float = _NOTHING_MISSING
    """How much of it is missing, 0 to 1."""
    before_kwh: float | None = None
    """The bar of the period before."""


def energy_bars(bars: Sequence[Bar], *, is_export: bool = False, separators: str = ".,") -> Figure:
    """Return the bars, in kWh."""
    measured = [
        None if bar.energy_kwh is None else round(bar.energy_kwh - bar.estimated_kwh, 3)
        for bar in bars
    ]
    traces = [
        _missing(bars),
        _trace(
            [bar.before_kwh for bar in bars],
            yaxis="y2",
            marker={"color": theme.EXPORT_BEFORE if is_export else theme.IMPORT_BEFORE},
            width=0.92,
        ),
        _trace(
            measured,
            yaxis="y2",
            marker={"color": theme.EXPORT if is_export else theme.IMPORT},
            width=0.62,
        ),
        _estimated(bars, measured),
        _pointer(bars),
    ]
    used = [trace for trace in traces if any(amount is not None for amount in trace["y"])]
    return {"data": used, "layout": _layout(bars, separators=separators)}


def _layout(bars: Sequence[Bar], *, separators: str) -> Figure:
    ticks = [place for place, bar in enumerate(bars) if bar.tick]
    return theme.layout(
        separators=separators,
        hovermode="x",
        bargap=0,
        xaxis={
            "tickvals": ticks,
            "ticktext": [bars[place].tick for place in ticks],
            "range": [-0.6, len(bars) - 0.4],
            "tickangle": 0,
        },
        # What is missing lies on the first axis, so that the bars of the second are drawn over it.
        yaxis={"range": [0, 1], "visible": False},
        yaxis2=theme.axis(
            overlaying="y",
            tickmode="auto",
            showgrid=True,
            side="left",
            rangemode="tozero",
            nticks=5,
            ticksuffix=" kWh",
            showticksuffix="last",
        ),
    )


def _estimated(bars: Sequence[Bar], measured: Sequence[float | None]) -> Figure:
    return _trace(
        [bar.estimated_kwh or None for bar in bars],
        base=[kwh or 0 for kwh in measured],
        yaxis="y2",
        marker={
            "color": theme.ESTIMATED_UNDER,
            "line": {"color": theme.ESTIMATED, "width": 1},
            "pattern": {"shape": "/", "size": 5, "fgcolor": theme.ESTIMATED},
        },
        width=0.62,
    )


def is_missing_drawn(bar: Bar) -> bool:
    """Say whether so much of the bar is missing that it is seen."""
    return bar.missing_share >= _SHARE_DRAWN_MIN


def _trace(amounts: Sequence[float | None], **more: object) -> Figure:
    return {
        "type": "bar",
        "x": list(range(len(amounts))),
        "y": list(amounts),
        "hoverinfo": "skip",
        **more,
    }


def _missing(bars: Sequence[Bar]) -> Figure:
    return _trace(
        [bar.missing_share if is_missing_drawn(bar) else None for bar in bars],
        base=[1 - bar.missing_share for bar in bars],
        width=1,
        marker={
            "color": theme.MISSING_UNDER,
            "line": {"width": 0},
            "pattern": {
                "shape": "\\",
                "size": 6,
                "solidity": 0.2,
                "fgcolor": theme.MISSING,
                "fillmode": "overlay",
            },
        },
    )


def _pointer(bars: Sequence[Bar]) -> Figure:
    """Return what answers when one points at a bar, also where there is nothing to see."""
    return {
        "type": "bar",
        "x": list(range(len(bars))),
        "y": [1] * len(bars),
        "width": 1,
        "marker": {"color": "rgba(0,0,0,0)"},
        "hovertext": [bar.hover for bar in bars],
        "hoverinfo": "text",
        "textposition": "none",
    }
