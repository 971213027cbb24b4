"""
How the columns of a CSV or Parquet file are read: what was guessed, or what a person confirmed.

A field that is None is not said: `csv_guess` fills it in, and names each guess it made.
"""

import msgspec

UNITS = ("wh", "kwh", "mwh", "kw")
DATE_ORDERS = ("ymd", "dmy", "mdy")


class CsvMapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The shape of a table of readings; columns are names of the header, or numbers from 1."""

    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None
    skip_lines: int | None = None
    """Lines before the header, or before the first reading."""
    layout: str | None = None
    """long: a reading a row; wide: a day a row."""
    meter: str | None = None
    """Column that names the meter; an empty text: none does."""
    stamp: str | None = None
    """Column of the stamp, or of the day."""
    time: str | None = None
    """Column of the time of day, where the stamp is only a day; an empty text: there is none."""
    ends: str | None = None
    """Column of the interval's end, beside a stamp that is its start; an empty text: none."""
    energy: list[str] | None = None
    """Column of the amounts; in a wide file all of them, in order of time."""
    export: str | None = None
    """Column of what was fed in, beside `energy`; an empty text: there is none."""
    unit: str | None = None
    """One of `UNITS`."""
    date_order: str | None = None
    """One of `DATE_ORDERS`."""
    stamp_is_end: bool | None = None
    zone: str | None = None
    """IANA zone of stamps without an offset."""
    interval_minutes: int | None = None
    quality: str | None = None
    """Column of our quality words; an empty text: there is none."""
    estimated: str | None = None
    """Column that says yes or no to an estimate; an empty text: there is none."""
    flow: str | None = None
    """Column that says import or export; an empty text: there is none."""
    meter_zone: str | None = None
    """Column of the IANA zone of a meter's days; an empty text: there is none."""

    @property
    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        one = [self.meter, self.stamp, self.time, self.ends, self.flow, self.export, self.quality]
        one += [self.estimated, self.meter_zone]
        return list(dict.fromkeys(name for name in [*one, *(self.energy or [])] if name))


class Guess(msgspec.Struct, frozen=True):
    """One thing that was guessed."""

    field: str
    reading: str
    """What was taken, in words."""
    is_ambiguous: bool = False
    """Something else fits as well: a person must say."""


def merged(mapping: CsvMapping, confirmed: CsvMapping) -> CsvMapping:
    """Return the mapping with what was confirmed on top."""
    said = {
        name: getattr(confirmed, name)
        for name in CsvMapping.__struct_fields__
        if getattr(confirmed, name) is not None
    }
    return msgspec.structs.replace(mapping, **said)
