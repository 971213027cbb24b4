"""Which of our meters each series of a file belongs to."""

from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

import sqlalchemy as sa

from meterbook.imports.request import FoundMeters, ImportRefusedError, ImportRequest
from meterbook.intake.files.parsed import OWN, Series
from meterbook.registry.foreign_ids import (
    ForeignId,
    add_named_meters,
    meters_named,
    name_meters,
)
from meterbook.registry.meters import add_meters, installations_of

NAMES_SHOWN_MAX = 5
Wanted = TypeVar("Wanted", bound=Hashable)


def find_meters(
    connection: sa.Connection,
    series: Collection[Series],
    *,
    zones: Mapping[ForeignId, str],
    request: ImportRequest,
    now: int,
) -> FoundMeters:
    """
    Return the meter of each series; names nobody knows become new meters.

    :param zones: where the file says it, the zone of a meter's days; it counts for new meters.

    :raises ImportRefusedError: if the file names none, or one that may not be written.
    :raises ForeignIdTakenError: if the person says another meter than the book.
    """
    found = FoundMeters()
    names = {(one.scheme, one.name) for one in series}
    said = _said(names, request)
    own = {name: int(name[1]) for name in names if name[0] == OWN and name[1]}
    foreign = [name for name in names if name[0] != OWN]
    known = {**own, **meters_named(connection, foreign), **said}
    strangers = sorted(names - known.keys())
    if request.own_meters is not None:
        _require_own(strangers, known, request.own_meters)
    elif strangers:
        for zone, some in _by_zone({name: name for name in strangers}, zones, request).items():
            made = add_named_meters(connection, some, zone=zone, now=now)
            known |= made
            found.new |= set(made.values())
    there = installations_of(connection, set(known.values()))
    absent = {name: number for name, number in known.items() if number not in there}
    for zone, numbers in _by_zone(absent, zones, request).items():
        add_meters(connection, numbers - found.new, zone=zone, now=now)
        found.new |= numbers
    if request.own_meters is None:
        # The meter a person names for a file is known by that name from then on. Not by a
        # household's word: names are everybody's, and the next file may be of many homes.
        name_meters(
            connection,
            {name: number for name, number in said.items() if name[1] and name[0] != OWN},
            now=now,
        )
    found.meter_of = {one: known[one.scheme, one.name] for one in series}
    return found


def _by_zone(
    wanted: Mapping[ForeignId, Wanted], zones: Mapping[ForeignId, str], request: ImportRequest
) -> dict[str, set[Wanted]]:
    grouped: dict[str, set[Wanted]] = {}
    for name, one in wanted.items():
        grouped.setdefault(zones.get(name, request.zone), set()).add(one)
    return grouped


def _said(names: set[tuple[str, str]], request: ImportRequest) -> dict[tuple[str, str], int]:
    meters = dict(request.meters)
    alone = meters.pop("", None)
    if alone is not None and len(names) > 1:
        shown = sorted(name for _, name in names)[:NAMES_SHOWN_MAX]
        more = ", ..." if len(names) > NAMES_SHOWN_MAX else ""
        raise ImportRefusedError(
            f"holds {len(names)} meters ({', '.join(shown)}{more}); "
            "say which is which, as NAME=NUMBER"
        )
    said = {name: meters[name[1]] for name in names if name[1] in meters}
    for name in names:
        if alone is not None:
            said.setdefault(name, alone)
        if not name[1] and name not in said:
            raise ImportRefusedError("names no meter: say the number of the meter it is of")
    return said


def _require_own(
    strangers: list[tuple[str, str]], known: dict[tuple[str, str], int], own: frozenset[int]
) -> None:
    foreign = [name for _, name in strangers]
    foreign += [name or str(number) for (_, name), number in known.items() if number not in own]
    if foreign:
        shown = ", ".join(foreign[:NAMES_SHOWN_MAX])
        raise ImportRefusedError(
            f"is about meters that are not yours ({shown}): say which of your meters it is"
        )
