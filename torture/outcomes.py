"""
What came of a fault: counted, not asserted, so that one breach does not hide the next.

A control is a book that is set up to lose something. Its outcome is right only if the same checks
find the loss.
"""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

FINDINGS_SHOWN_MAX = 5


class Outcome(msgspec.Struct, kw_only=True):
    """What one fault did to one book."""

    what: str
    """The fault and the engine, in words."""
    cycles: int
    """How often it struck."""
    acknowledged: int = 0
    """Readings that were promised to be there."""
    found: int = 0
    """Of them, how many are there, once, with their value."""
    findings: list[str] = msgspec.field(default_factory=list)
    """Everything that may not be: lost readings, broken invariants, growing memory."""
    memory: str = ""
    """Of the server, MiB before and after; empty where it does not live on."""
    handles: str = ""
    """Open files of the server, before and after."""
    is_control: bool = False
    note: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it is as it must be: no findings, or for a control at least one."""
        return bool(self.findings) == self.is_control

    @property
    def verdict(self) -> str:
        """The outcome in a word or two."""
        if self.is_control:
            return "caught" if self.findings else "NOT CAUGHT"
        return "held" if self.is_right else "BROKEN"


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the outcomes as a table, and under it what was found."""
    table = Table(
        "fault", "cycles", "acknowledged", "found", "findings", "memory", "handles", "verdict",
        box=None,
    )  # fmt: skip
    for outcome in outcomes:
        table.add_row(
            outcome.what,
            f"{outcome.cycles:,}",
            f"{outcome.acknowledged:,}",
            f"{outcome.found:,}",
            str(len(outcome.findings)),
            outcome.memory,
            outcome.handles,
            outcome.verdict,
        )
    console = Console(width=170)
    console.print(table)
    for outcome in outcomes:
        if outcome.note:
            console.print(f"{outcome.what}: {outcome.note}")
        for finding in outcome.findings[:FINDINGS_SHOWN_MAX]:
            console.print(f"{outcome.what}: {finding}", style="" if outcome.is_control else "red")
