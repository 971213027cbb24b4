"""
How our exports name our meters in formats that know no numbers of ours.

Such a name proves itself: what another wrote never looks like it by accident, so a file that comes
back leads to the meter it came from, and a foreign name is never taken for one of our numbers.
"""

from uuid import UUID, uuid5

from meterbook.domain.meter_ids import MeterIdError, meter_id

NEM12_PARTICIPANT = "METERBOOK"
"""Sender and receiver in the header of our NEM12."""
ESPI_ZONE_SCHEME = "urn:meterbook:zone"
"""Atom category of a usage point whose term is the IANA zone of its days."""
_ESPI_IDS = UUID("6f2d1d1e-3a0b-5a53-9f0c-6d6574657262")


def own_nmi(number: int) -> str:
    """Return the ten digits that stand for a meter without an NMI."""
    return f"{number:010d}"


def meter_of_nmi(nmi: str, *, serial: str) -> int | None:
    """Return the meter that our NEM12 names so; None: the NMI is a foreign one."""
    number = _number(serial)
    return number if number is not None and nmi == own_nmi(number) else None


def espi_id(path: str) -> str:
    """Return the id of a Green Button entry by its path, the same in every export."""
    return f"urn:uuid:{uuid5(_ESPI_IDS, path)}"


def usage_point(number: int) -> str:
    """Return the path of a meter's usage point."""
    return f"UsagePoint/{number}"


def meter_of_usage_point(entry_id: str, *, address: str) -> int | None:
    """Return the meter that our Green Button names so; None: the point is a foreign one."""
    number = _number(address.rpartition("/")[2])
    if number is None or entry_id != espi_id(usage_point(number)):
        return None
    return number


def _number(written: str) -> int | None:
    try:
        return meter_id(written)
    except MeterIdError:
        return None
