"""
The local clock of a file that is read in pieces.

An hour that the clock shows twice may lie in two pieces, or more where many meters take turns.
Then the order of the rows tells which is which only to who remembers the pieces before.
"""

from collections import deque
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from meterbook.domain.reading_columns import IntColumn
from meterbook.intake.files.local_stamps import LocalInstants, OtherPieces, local_instants

_PIECES_REMEMBERED = 8

Name = tuple[str, str]
"""Scheme and name of a meter."""


class RunningClock:
    """Turns the stamps of one file's column to instants, piece after piece."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._rises = 0
        self._had: deque[set[tuple[Name, int]]] = deque(maxlen=_PIECES_REMEMBERED)

    def instants(
        self,
        stamps: IntColumn,
        *,
        group: IntColumn,
        names: Sequence[Name],
        goes_on: bool,
        are_ends: bool,
    ) -> LocalInstants:
        """
        Return the instants of a piece's stamps; see `local_instants`.

        :param names: of the groups.
        :param goes_on: there is another piece.
        """

        def had(member: int, stamp: int) -> bool:
            return any((names[member], stamp) in piece for piece in self._had)

        if len(stamps):
            self._rises += int(stamps[-1] > stamps[0]) - int(stamps[-1] < stamps[0])
        others = OtherPieces(had, goes_on, falls=self._rises < 0)
        found = local_instants(
            stamps, zone=self.zone, group=group, are_ends=are_ends, others=others
        )
        at = found.doubled_at
        pairs = zip(group[at].tolist(), stamps[at].tolist(), strict=True)
        self._had.append({(names[member], stamp) for member, stamp in pairs})
        return found
