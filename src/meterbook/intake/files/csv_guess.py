"""
Guesses the shape of a CSV file from its beginning.

What fits in only one way is taken; what fits in two (03/04, a column without a unit) is named as
ambiguous and taken only when a person says it.
"""

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from meterbook.domain.local_days import is_zone
from meterbook.domain.readings import QUALITY_WORDS
from meterbook.intake.files.csv_mapping import CsvMapping, Guess, merged

DELIMITERS = ";\t,|"
_ROWS_LOOKED_AT = 400
_NAMES_SHOWN, _NAME_SHOWN = 10, 64
_LINES_LOOKED_AT = 1_000  # a preamble is shorter than that
_WIDE_COUNTS = (1440, 288, 144, 96, 72, 48, 24)
_METER = re.compile(
    r"\b(?:meter|meter_?id|mpan|mprn|nmi|lclid|serial\w*|device\w*|site|customer|home|id|pod|cups"
    r"|zähler\w*|ean\w*)\b",
    re.IGNORECASE,
)
_ENERGY = re.compile(
    r"k?m?wh\b|\bkw\b|energy|consum|usage|import|verbrauch|bezug|value|reading|amount|load|demand",
    re.IGNORECASE,
)
_EXPORT = re.compile(r"export|einspeis|fed.?in|feed.?in|generat|returned|injection", re.IGNORECASE)
_FLOW_NAMES = re.compile(r"^(?:con/gen|flow|direction|flow.?direction)$", re.IGNORECASE)
_QUALITY = re.compile(r"^quality$", re.IGNORECASE)
_ESTIMATED = re.compile(r"^(?:is.?)?estimated?\??$", re.IGNORECASE)
ESTIMATED = {"yes": True, "y": True, "true": True, "estimated": True, "e": True, "1": True}
ESTIMATED |= dict.fromkeys(("", "no", "n", "false", "actual", "a", "0"), False)
_ZONE = re.compile(r"^(?:iana.?)?(?:time.?)?zone$", re.IGNORECASE)
_END = re.compile(r"\b(?:end|ends_at|to|bis|until)\b|\bende\b", re.IGNORECASE)
_START = re.compile(r"\b(?:start\w*|begin\w*|from|von|starts_at)\b", re.IGNORECASE)
_UNIT = re.compile(r"(?<![a-z])(kwh|mwh|wh|kw)(?![a-z])", re.IGNORECASE)
DATE = re.compile(
    r"(?:(?P<ymd>\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{8})|(?P<first>\d{1,2})(?P<sep>[-/.])"
    r"(?P<second>\d{1,2})[-/.](?:\d{4}|\d{2}))(?P<rest>[T ].*)?",
    re.ASCII,
)
TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\s*[AaPp][Mm])?", re.ASCII)
_CLOCK = re.compile(r"(?<!\d)\d{1,2}[:.]\d{2}(?!\d)", re.ASCII)
_NUMBERED = re.compile(r"(.*?)(\d{1,4})(\D*)", re.ASCII)
_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_NUMBER = {
    ".": re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII),
    ",": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d*)?|[+-]?,\d+", re.ASCII),
}
EMPTY = frozenset({"", "null", "nan", "na", "n/a", "-", "none"})


class GuessedShape(msgspec.Struct, frozen=True):
    """A mapping with nothing left open, and what of it was guessed."""

    mapping: CsvMapping
    guesses: list[Guess]


class NoTableError(ValueError):
    """The text holds no table of readings."""


def guess_shape(lines: Sequence[str], said: CsvMapping) -> GuessedShape:
    """
    Return how the table is to be read.

    :param lines: the first lines of the file.
    :param said: what a person has confirmed: never guessed.
    :raises NoTableError: if there is no stamp or no amount in it.
    """
    guesses: list[Guess] = []
    lines = lines[:_LINES_LOOKED_AT]
    delimiter = said.delimiter or _delimiter(lines)
    rows = [[f.strip().strip('"') for f in line.split(delimiter)] for line in lines]
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        raise NoTableError("has no columns")
    width = widths.most_common(1)[0][0]
    skip = said.skip_lines
    if skip is None:
        skip = next(i for i, row in enumerate(rows) if len(row) == width)
    table = [row for row in rows[skip:] if len(row) == width][:_ROWS_LOOKED_AT]
    header = said.header
    if header is None:
        header = not any(DATE.fullmatch(field) for field in table[0])
    names = column_names(table[0], header=header)
    body = table[1:] if header else table
    if not body:
        raise NoTableError("has no row after its header")
    decimal = said.decimal or _decimal(body, delimiter)
    known = msgspec.structs.replace(
        said, delimiter=delimiter, decimal=decimal, header=header, skip_lines=skip
    )
    guesses += [
        Guess("delimiter", {"\t": "tab"}.get(delimiter, delimiter)),
        Guess("decimal", decimal),
        Guess("header", "yes" if header else "no"),
    ]
    mapping = guess_columns(names, list(zip(*body, strict=True)), known, guesses)
    return GuessedShape(mapping, [g for g in guesses if getattr(said, g.field, None) is None])


def column_names(fields: Sequence[str], *, header: bool) -> list[str]:
    """Return a name for each column, all different: the header's, or its number from 1."""
    names: list[str] = []
    for number, field in enumerate(fields, start=1):
        name = field.strip().strip('"').strip() if header else ""
        names.append(str(number) if not name or name in names else name)
    return names


def guess_columns(
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    known: CsvMapping,
    guesses: list[Guess],
) -> CsvMapping:
    """
    Return the mapping with every column found; what was guessed is appended to `guesses`.

    :raises NoTableError: if there is no stamp or no amount.
    """
    taken: set[str] = set()
    stamp = known.stamp or _first(names, columns, _is_stamp)
    if stamp is None:
        raise NoTableError("has no column of dates or stamps: say which one it is")
    taken.add(stamp)
    stamps = columns[list(names).index(stamp)] if stamp in names else ()
    only_days = not any((m := DATE.fullmatch(s)) and m["rest"] for s in stamps)
    time = known.time
    if time is None:
        time = (only_days and _first(names, columns, _is_time)) or ""
    ends = known.ends if known.ends is not None else _ends(names, columns, stamp)
    taken |= {time, ends}
    known = _beside(names, columns, stamps, known, taken)
    meter = known.meter or ""
    numeric = _numeric(names, columns, known.decimal or ".", taken)
    layout = known.layout
    wide = next((n for n in _WIDE_COUNTS if len(numeric) >= n), None)
    if layout is None:
        layout = "wide" if wide and only_days and not time else "long"
    energy, export = (
        (known.energy or _of_day(numeric, columns, names, wide or len(numeric), guesses), "")
        if layout == "wide"
        else _amounts(numeric, known, guesses)
    )
    if not energy:
        raise NoTableError("has no column of amounts: say which one it is")
    guesses += [
        Guess("layout", layout),
        Guess("stamp", f"{stamp} {time}".strip()),
        Guess("meter", meter or "(no column: say which meter it is)"),
        Guess("energy", energy[0] if len(energy) == 1 else f"{energy[0]} ... {energy[-1]}"),
    ]
    mapping = msgspec.structs.replace(
        known, layout=layout, stamp=stamp, time=time, ends=ends, energy=energy, export=export,
    )  # fmt: skip
    guesses += _columns(names, mapping.columns)
    return _meaning(mapping, stamps, guesses)


def _of_day(
    numeric: Sequence[str],
    columns: Sequence[Sequence[str]],
    names: Sequence[str],
    count: int,
    guesses: list[Guess],
) -> list[str]:
    """Return the columns of a day's intervals among all that hold numbers."""
    series: dict[tuple[str, str], list[str]] = {}
    for name in numeric:
        if match := _NUMBERED.fullmatch(name):
            series.setdefault((match[1], match[3]), []).append(name)
    fields = dict(zip(names, columns, strict=True))
    # A delimiter at the end of each row makes a column without a name, and with nothing in it.
    nameless = {name for number, name in enumerate(names, start=1) if name == str(number)}
    told = [
        name
        for name in numeric
        if name not in nameless or any(f.lower() not in EMPTY for f in fields[name])
    ]
    of_clock = [name for name in numeric if _CLOCK.search(name)]
    for found in (of_clock, *series.values(), numeric, told):
        if len(found) == count:
            return list(found)
    shown = f"{numeric[0]} ... {numeric[-1]}: {len(numeric)} columns, and {count} are a day"
    guesses.append(Guess("energy", shown, is_ambiguous=True))
    return list(numeric[-count:])


def _columns(names: Sequence[str], used: Sequence[str]) -> list[Guess]:
    """Return which columns are read and which are not."""
    unused = [name for name in names if name not in used]
    told = [Guess("columns used", _shown(used))]
    return [*told, Guess("columns left out", _shown(unused))] if unused else told


def _shown(names: Sequence[str]) -> str:
    few = [name[:_NAME_SHOWN] for name in names[:_NAMES_SHOWN]]
    if len(names) > _NAMES_SHOWN + 1:
        few += [f"... {names[-1][:_NAME_SHOWN]} ({len(names)} in all)"]
    elif len(names) > _NAMES_SHOWN:
        few += [names[-1][:_NAME_SHOWN]]
    return ", ".join(few)


def _beside(
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    stamps: Sequence[str],
    known: CsvMapping,
    taken: set[str],
) -> CsvMapping:
    """Return the mapping with the columns that say what a row is about; they are taken then."""
    found = CsvMapping(
        meter=_meter(names, columns, taken),
        flow=_named(names, _FLOW_NAMES, taken),
        quality=_quality(names, columns, taken),
        estimated=_estimated(names, columns, taken),
        meter_zone=_meter_zone(names, columns, stamps),
    )
    known = merged(found, known)
    beside = (known.meter, known.flow, known.quality, known.estimated, known.meter_zone)
    taken |= {name or "" for name in beside}
    return known


def _meaning(mapping: CsvMapping, stamps: Sequence[str], guesses: list[Guess]) -> CsvMapping:
    unit, order, is_end = mapping.unit, mapping.date_order, mapping.stamp_is_end
    if unit is None:
        unit, sure = _unit(mapping.energy or [])
        guesses.append(Guess("unit", unit, is_ambiguous=not sure))
    if order is None:
        order, sure = date_order(stamps)
        guesses.append(Guess("date_order", order, is_ambiguous=not sure))
    if is_end is None:
        name = mapping.stamp or ""
        is_end = bool(_END.search(name)) and not _START.search(name)
        guesses.append(Guess("stamp_is_end", "end" if is_end else "start of the interval"))
    if not _have_offset(stamps) and mapping.zone is None:
        guesses.append(Guess("zone", "stamps have no offset: the zone of new meters is taken"))
    return msgspec.structs.replace(mapping, unit=unit, date_order=order, stamp_is_end=is_end)


def _have_offset(stamps: Sequence[str]) -> bool:
    return any(_OFFSET.search(stamp) for stamp in stamps if ":" in stamp)


def _quality(names: Sequence[str], columns: Sequence[Sequence[str]], taken: set[str]) -> str:
    """Return the column of qualities, unless all its words are another's (A, E, ...)."""
    name = _named(names, _QUALITY, taken)
    if not name:
        return ""
    words = {word.lower() for word in columns[list(names).index(name)]} - {""}
    return name if not words or words & {*QUALITY_WORDS.values()} else ""


def _estimated(names: Sequence[str], columns: Sequence[Sequence[str]], taken: set[str]) -> str:
    """Return the column that says of each row whether it is an estimate."""
    name = _named(names, _ESTIMATED, taken)
    if not name:
        return ""
    words = {word.lower() for word in columns[list(names).index(name)]}
    return name if words <= ESTIMATED.keys() else ""


def _meter_zone(
    names: Sequence[str], columns: Sequence[Sequence[str]], stamps: Sequence[str]
) -> str:
    """Return the column of IANA zones beside stamps that need none for themselves."""
    name = _named(names, _ZONE, set())
    if not name or not _have_offset(stamps):
        return ""
    return name if all(map(is_zone, set(columns[list(names).index(name)]))) else ""


def date_order(stamps: Sequence[str]) -> tuple[str, bool]:
    """Return the order of day, month and year, and whether no other order fits."""
    matches = [m for m in map(DATE.fullmatch, stamps) if m]
    if any(m["ymd"] for m in matches) or not matches:
        return "ymd", True
    if any(m["sep"] == "." or int(m["first"]) > 12 for m in matches):  # noqa: PLR2004 months
        return "dmy", True
    return ("mdy", True) if any(int(m["second"]) > 12 for m in matches) else ("dmy", False)  # noqa: PLR2004


def _unit(energy: Sequence[str]) -> tuple[str, bool]:
    found = {m[1].lower() for name in energy if (m := _UNIT.search(name))}
    if len(found) == 1:
        return found.pop(), True
    return "kwh", False


def _delimiter(lines: Sequence[str]) -> str:
    def score(mark: str) -> tuple[float, int]:
        counts = Counter(line.count(mark) for line in lines if line.strip())
        count, times = counts.most_common(1)[0] if counts else (0, 0)
        return (times / max(sum(counts.values()), 1) if count else 0.0, count)

    # A decimal comma makes commas look regular too, so the rarer marks win a tie.
    return max(DELIMITERS, key=lambda mark: (round(score(mark)[0], 1), mark != ",", score(mark)[1]))


def _decimal(body: Sequence[Sequence[str]], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    fields = [field for row in body for field in row]
    commas = sum(bool(re.fullmatch(r"[+-]?\d*,\d+", field)) for field in fields)
    points = sum(bool(re.fullmatch(r"[+-]?\d*\.\d+", field)) for field in fields)
    return "," if commas > points else "."


def _first(names: Sequence[str], columns: Sequence[Sequence[str]], fits: object) -> str | None:
    pairs = zip(names, columns, strict=True)
    return next((name for name, column in pairs if fits(column)), None)  # type: ignore[operator]


def _most(column: Sequence[str], pattern: re.Pattern[str]) -> bool:
    known = [field for field in column if field.lower() not in EMPTY]
    return bool(known) and sum(bool(pattern.fullmatch(f)) for f in known) > 0.75 * len(known)


def _is_stamp(column: Sequence[str]) -> bool:
    return _most(column, DATE)


def _is_time(column: Sequence[str]) -> bool:
    return _most(column, TIME)


def _is_numeric(column: Sequence[str], decimal: str) -> bool:
    return all(f.lower() in EMPTY for f in column) or _most(column, _NUMBER[decimal])


def _ends(names: Sequence[str], columns: Sequence[Sequence[str]], stamp: str) -> str:
    """Return the column of the interval's end where the stamp is its start."""
    if not _START.search(stamp):
        return ""
    others = [
        name
        for name, column in zip(names, columns, strict=True)
        if name != stamp and _END.search(name) and _is_stamp(column)
    ]
    return others[0] if others else ""


def _numeric(
    names: Sequence[str], columns: Sequence[Sequence[str]], decimal: str, taken: set[str]
) -> list[str]:
    pairs = zip(names, columns, strict=True)
    return [name for name, column in pairs if name not in taken and _is_numeric(column, decimal)]


def _named(names: Sequence[str], pattern: re.Pattern[str], taken: set[str]) -> str:
    return next((n for n in names if n not in taken and pattern.search(n.strip())), "")


def _meter(names: Sequence[str], columns: Sequence[Sequence[str]], taken: set[str]) -> str:
    for name, column in zip(names, columns, strict=True):
        if name not in taken and _METER.search(name) and not any("," in f for f in column):
            return name
    return ""


def _amounts(
    numeric: Sequence[str], known: CsvMapping, guesses: list[Guess]
) -> tuple[list[str], str]:
    export = known.export
    if export is None:
        export = next((name for name in numeric if _EXPORT.search(name)), "")
    if known.energy:
        return known.energy, export if export not in known.energy else ""
    rest = [name for name in numeric if name != export]
    telling = [name for name in rest if _ENERGY.search(name)] or rest
    if len(telling) > 1:
        guesses.append(Guess("energy", " or ".join(telling[:5]), is_ambiguous=True))
    if export:
        guesses.append(Guess("export", export))
    return list(telling[:1]), export
