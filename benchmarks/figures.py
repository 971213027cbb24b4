"""Figures, their aims, and how they are shown."""

import statistics
from collections.abc import Callable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct, frozen=True):
    """One measured quantity over several runs."""

    name: str
    unit: str
    runs: list[float]
    aim: float | None = None
    lower_is_better: bool = False

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return statistics.median(self.runs)

    @property
    def reached(self) -> str:
        """Whether the aim was reached; empty where there is none."""
        if self.aim is None:
            return ""
        within = self.median <= self.aim if self.lower_is_better else self.median >= self.aim
        return "yes" if within else f"no, {self.median / self.aim:.2f} of it"


def repeated(runs: int, measure: Callable[[], dict[str, float]]) -> dict[str, list[float]]:
    """Measure several times and return every run of each figure."""
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, figure in measure().items():
            found.setdefault(name, []).append(figure)
    return found


def show(figures: Sequence[Figure]) -> None:
    """Print the figures as a table."""
    table = Table(
        "figure", "median", "lowest", "highest", "runs", "unit", "aim", "reached", box=None
    )
    for figure in figures:
        table.add_row(
            figure.name,
            text_of(figure.median),
            text_of(min(figure.runs)),
            text_of(max(figure.runs)),
            str(len(figure.runs)),
            figure.unit,
            "" if figure.aim is None else text_of(figure.aim),
            figure.reached,
        )
    Console(width=160).print(table)


def text_of(number: float) -> str:
    """Return a number as the tables show it."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:,.2f}"
