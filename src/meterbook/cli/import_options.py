"""The flags that say what a file leaves open, and mappings that are kept under a name."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.intake.files.csv_mapping import UNITS, CsvMapping, merged

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_OPTIONS = (
    click.option("--meter", "meters", multiple=True, metavar="NUMBER|NAME=NUMBER",
                 help="Which of our meters it is."),
    click.option("--unit", type=click.Choice(UNITS), help="Unit, where the file does not say."),
    click.option("--stamps-zone", help="IANA zone of stamps without one."),
    click.option("--dates", type=click.Choice(["ymd", "dmy", "mdy"]), help="Order of a date."),
    click.option("--energy", multiple=True, help="CSV: column of the amounts."),
    click.option("--export-column", help="CSV: column of what was fed in."),
    click.option("--meter-column", help="CSV: column that names the meter."),
    click.option("--stamp-column", help="CSV: column of the stamp or the day."),
    click.option("--time-column", help="CSV: column of the time of day."),
    click.option("--delimiter", help="CSV: what separates columns; tab for a tabulator."),
    click.option("--decimal", type=click.Choice([".", ","]), help="CSV: decimal mark."),
    click.option("--header/--no-header", default=None, help="CSV: whether there is a header."),
    click.option("--layout", type=click.Choice(["long", "wide"]),
                 help="CSV: a reading a row, or a day a row."),
    click.option("--interval", "interval_minutes", type=click.IntRange(1, 1440),
                 help="CSV: length of an interval in minutes."),
    click.option("--mapping", help="CSV: a saved mapping, by its name or its file."),
    click.option("--save-mapping", help="CSV: keep what these flags say under a name."),
)  # fmt: skip


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command; it gets them as keyword arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def meters_said(written: Sequence[str]) -> dict[str, int]:
    """
    Return name in the file to our meter ID, an empty name for the only one.

    :raises click.BadParameter: if one is no meter ID.
    """
    said: dict[str, int] = {}
    for text in written:
        name, _, number = text.rpartition("=")
        try:
            said[name] = meter_id(number)
        except MeterIdError as error:
            raise click.BadParameter(f"{number!r} {error}", param_hint="--meter") from None
    return said


def mapping_said(flags: Mapping[str, Any], *, data_dir: Path) -> CsvMapping:
    """
    Return the mapping: what the flags say over the saved one; kept if that is asked for.

    :raises click.BadParameter: if there is no such saved mapping, or it is broken.
    """
    said = CsvMapping(
        delimiter="\t" if flags["delimiter"] == "tab" else flags["delimiter"],
        decimal=flags["decimal"],
        header=flags["header"],
        layout=flags["layout"],
        meter=flags["meter_column"],
        stamp=flags["stamp_column"],
        time=flags["time_column"],
        energy=list(flags["energy"]) or None,
        export=flags["export_column"],
        unit=flags["unit"],
        date_order=flags["dates"],
        zone=flags["stamps_zone"],
        interval_minutes=flags["interval_minutes"],
        stamp_is_end=None if flags["stamp"] is None else flags["stamp"] == "end",
    )
    folder = data_dir / "mappings"
    mapping = merged(_saved(folder, flags["mapping"]), said) if flags["mapping"] else said
    if flags["save_mapping"]:
        if not _NAME.fullmatch(flags["save_mapping"]):
            raise click.BadParameter(
                "must be letters, digits, - and _", param_hint="--save-mapping"
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{flags['save_mapping']}.json").write_bytes(msgspec.json.encode(mapping))
    return mapping


def _saved(folder: Path, written: str) -> CsvMapping:
    named = folder / f"{written}.json"
    file = named if _NAME.fullmatch(written) and named.is_file() else Path(written)
    try:
        return msgspec.json.decode(file.read_bytes(), type=CsvMapping)
    except OSError:
        raise click.BadParameter(f"there is none {written!r}", param_hint="--mapping") from None
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--mapping") from None
