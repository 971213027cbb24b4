"""Figures: what Plotly's own schema accepts, light and dark, and a gap is never a zero."""

from typing import Any

import plotly.graph_objects as go
import pytest

from meterbook.charts import theme
from meterbook.charts.bars import Bar, energy_bars
from meterbook.charts.heat_map import HeatRow, heat_map
from meterbook.charts.spark import spark

BARS = [
    Bar("first", "00:00", 0.5, before_kwh=0.4),
    Bar("missing", "", None, missing_share=1.0, before_kwh=0.4),
    Bar("partly", "01:00", 0.25, estimated_kwh=0.1, missing_share=0.5),
    Bar("zero", "", 0.0),
]
MAP = heat_map(
    [HeatRow("Sat 1 Feb", "1 Feb", [100, None, None], [1]), HeatRow("Sun", "", [0, 5, 6], [])],
    columns=["00:00", "00:30", "01:00"],
    ticks=[(0, "00:00")],
    missing_words="missing",
)
FIGURES = {
    "bars": energy_bars(BARS),
    "bars of export": energy_bars(BARS, is_export=True),
    "no bars": energy_bars([]),
    "heat map": MAP,
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_plotly_knows_every_part_of_it(name: str, dark: bool) -> None:
    figure = theme.painted(FIGURES[name], dark=dark)
    assert "@" not in str(figure)
    drawn = go.Figure(figure)  # refuses what is not in Plotly's schema
    assert len(drawn.data) == len(FIGURES[name]["data"])


def test_a_missing_bar_is_a_hatched_gap_and_what_is_known_adds_up() -> None:
    traces = FIGURES["bars"]["data"]
    measured = trace(traces, theme.IMPORT)
    estimated = trace(traces, theme.ESTIMATED_UNDER)
    missing = trace(traces, theme.MISSING_UNDER)
    assert measured["y"] == [0.5, None, 0.15, 0.0]
    assert estimated["y"] == [None, None, 0.1, None]
    assert estimated["base"][2] == 0.15
    assert missing["y"] == [None, 1.0, 0.5, None]
    assert missing["marker"]["pattern"]["shape"]


def test_a_map_tells_missing_from_what_is_not_there() -> None:
    known, missing, crosses = MAP["data"]
    assert known["z"] == [[0.1, None, None], [0.0, 0.005, 0.006]]
    assert missing["z"] == [[None, 1, None], [None, None, None]]
    assert (crosses["x"], crosses["y"]) == (["00:30"], ["Sat 1 Feb"])


def test_a_sparkline_breaks_where_nothing_is_known() -> None:
    drawn = spark([1.0, 2.0, None, 3.0, 3.0])
    assert drawn is not None
    assert drawn.line.count("M") == 2
    assert spark([None, 1.0, None]) is None
    assert spark([]) is None


def test_one_dict_laid_over_another_keeps_what_it_does_not_name() -> None:
    assert theme.laid_over({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    assert theme.axis()["gridcolor"] == theme.LINE
    assert theme.kwh(None) is None


def trace(traces: list[dict[str, Any]], colour: str) -> dict[str, Any]:
    """Return the bars of a colour."""
    [found] = [one for one in traces if one["marker"].get("color") == colour]
    return found


@pytest.mark.parametrize(
    ("columns", "step"),
    [(0, 1), (8, 1), (24, 3), (30, 4), (46, 6), (50, 12), (174, 24), (288, 36), (1440, 180)],
)
def test_words_stand_under_whole_steps_of_the_columns(columns: int, step: int) -> None:
    axis = theme.axis_of_columns([str(index) for index in range(columns)])
    assert axis["tickvals"] == list(range(0, columns, step))
    assert axis["ticktext"] == [str(index) for index in axis["tickvals"]]
    assert len(axis["tickvals"]) <= 8
