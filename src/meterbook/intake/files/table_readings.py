"""
Tables of readings (CSV, Parquet) to series: whole columns at once, on Polars.

A table comes as text or typed columns; what does not parse is rejected by line. Numbers are read
as float64 and rounded half-even by their shortest decimal text.
"""

from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from meterbook.domain.local_days import is_zone, time_zone
from meterbook.domain.reading_columns import IntColumn, QualityColumn, distinct
from meterbook.domain.readings import QUALITY_WORDS, Flow, Quality
from meterbook.domain.units import kwh_column_to_wh
from meterbook.intake.files.csv_guess import ESTIMATED
from meterbook.intake.files.csv_mapping import CsvMapping
from meterbook.intake.files.local_stamps import NO_SUCH_TIME
from meterbook.intake.files.parsed import DAY_S, PartBuilder, Series
from meterbook.intake.files.plain_rows import PlainRows
from meterbook.intake.files.row_lengths import (
    OddLengthError,
    are_days_only,
    kept_lengths,
    row_length,
)
from meterbook.intake.files.row_meters import NO_METER, named
from meterbook.intake.files.running_clocks import RunningClock
from meterbook.intake.files.table_numbers import numbers_of
from meterbook.intake.files.table_stamps import StampReader, Stamps

_KWH = {"wh": 0.001, "kwh": 1.0, "mwh": 1000.0}
_FLOWS = {
    "import": Flow.IMPORT, "consumption": Flow.IMPORT, "1": Flow.IMPORT,
    "export": Flow.EXPORT, "generation": Flow.EXPORT, "19": Flow.EXPORT,
}  # fmt: skip
_QUALITIES = {word: int(quality) for quality, word in QUALITY_WORDS.items()}
_FLOWS_TOLD_MAX = 20
_METERS_MANY = 3
Mask = npt.NDArray[np.bool_]


class TableReader:
    """Reads the tables of one file, one part of rows after the other."""

    def __init__(self, builder: PartBuilder, mapping: CsvMapping, *, zone: ZoneInfo) -> None:
        self._builder = builder
        self._mapping = mapping
        zone = time_zone(mapping.zone) if mapping.zone else zone
        self._clock, self._clock_of_ends = RunningClock(zone), RunningClock(zone)
        minutes = mapping.interval_minutes
        self._interval_s = None if minutes is None else minutes * 60
        self._odd = ""
        self._goes_on, self._names = False, [("csv", "")]
        self._stamps = StampReader(mapping)
        self._ends = StampReader(msgspec.structs.replace(mapping, stamp=mapping.ends, time=""))

    def take(self, table: pl.DataFrame, lines: IntColumn, *, goes_on: bool = False) -> None:
        """
        Add the readings of some rows.

        :param lines: their numbers, shape (n,).
        :param goes_on: more rows will come.
        """
        if not table.height:
            return
        self._goes_on = goes_on
        by_value = [self._mapping.meter or "", self._mapping.stamp or ""]  # stripped once a value
        texts = cs.string() - cs.by_name(by_value, require_all=False)
        table = table.with_columns(texts.str.strip_chars())
        meters, names = self._meters(table)
        self._names = names
        self._place(table, meters, names, lines)
        is_repeated = len(names) >= _METERS_MANY
        stamps = self._stamps.read(table, is_repeated=is_repeated)
        fine = ~np.isnan(stamps.seconds) & (meters >= 0)
        self._reject(~fine & (meters >= 0), lines, "has no date or time of a known form")
        self._reject(meters < 0, lines, NO_METER)
        if self._mapping.layout == "wide":
            self._take_wide(table, lines, meters, names, stamps, fine)
        else:
            self._take_long(table, lines, meters, names, stamps, fine)

    def take_plain(self, rows: PlainRows, lines: IntColumn, *, goes_on: bool) -> None:
        """Add the readings of rows that need no more looking at; `lines` as above."""
        self._goes_on = goes_on
        numbers = {name: number for number, name in enumerate(dict.fromkeys(rows.names))}
        names = [named(name.strip()) for name in numbers]
        known = [-1 if name is None else number for number, name in enumerate(names)]
        of_run = np.array([known[numbers[name]] for name in rows.names], dtype=np.int64)
        meters = np.repeat(of_run, rows.run_rows)
        self._names = [name or ("csv", "") for name in names]
        fine = meters >= 0
        self._reject(~fine, lines, NO_METER)
        stamps = Stamps(np.empty(0), is_instant=False)
        instants, fine = self._instants(rows.wall_s, stamps, meters, fine, lines)
        if not fine.any():
            return
        length_s = self._length(instants, meters, fine, lines, are_days=False)
        if not length_s:
            return
        if self._mapping.stamp_is_end:
            instants = instants - length_s
        picked = slice(None) if fine.all() else np.flatnonzero(fine)
        series = [Series(*(name or ("csv", "")), Flow.IMPORT, length_s) for name in names]
        self._builder.add_many(
            series,
            source=meters[picked],
            starts_at=instants[picked],
            amount=rows.energy_wh[picked],
            quality=np.full(len(meters), int(Quality.RAW), dtype=np.int8)[picked],
            lines=lines[picked],
        )

    def _take_long(
        self,
        table: pl.DataFrame,
        lines: IntColumn,
        meters: IntColumn,
        names: list[tuple[str, str]],
        stamps: Stamps,
        fine: Mask,
    ) -> None:
        seconds = np.where(fine, stamps.seconds, 0).astype(np.int64)
        instants, fine = self._instants(seconds, stamps, meters, fine, lines)
        if not fine.any():
            return
        self._leave_out_flows(table, lines)
        lengths, fine = self._lengths(table, stamps, instants, meters, fine, lines)
        if self._mapping.stamp_is_end:
            instants = instants - lengths
        qualities = self._qualities(table, lines)
        columns = [(name, Flow.IMPORT) for name in self._mapping.energy or []]
        if self._mapping.export:
            columns.append((self._mapping.export, Flow.EXPORT))
        for length_s in distinct(lengths[fine]).tolist():
            among = fine & (lengths == length_s)
            for name, flow in columns:
                amounts, known = self._amounts(table[name], lines, length_s, among=among)
                flows = self._flows(table, flow)
                self._add(
                    names, meters, flows, length_s, instants, amounts, qualities, lines,
                    known & (flows > 0) & (qualities >= 0),
                )  # fmt: skip

    def _take_wide(
        self,
        table: pl.DataFrame,
        lines: IntColumn,
        meters: IntColumn,
        names: list[tuple[str, str]],
        stamps: Stamps,
        fine: Mask,
    ) -> None:
        columns = self._mapping.energy or []
        self._leave_out_flows(table, lines)
        interval_s = self._interval_s or DAY_S // len(columns)
        count = len(columns)
        flows = np.repeat(self._flows(table, Flow.IMPORT), count)
        days = np.where(fine, stamps.seconds, 0).astype(np.int64)
        walls = (days[:, None] + np.arange(count) * interval_s).ravel()
        every_line, every_meter = np.repeat(lines, count), np.repeat(meters, count)
        parts = [
            self._amounts(table[name], lines, interval_s, among=fine, reject=False)
            for name in columns
        ]
        amounts = np.stack([part[0] for part in parts], axis=1).ravel()
        known = np.stack([part[1] for part in parts], axis=1).ravel()
        every_fine = np.repeat(fine, count)
        # Wide rows have a cell for the hour that a clock skips: empty or 0, it is no reading.
        instants, there = self._instants(
            walls, stamps, every_meter, every_fine & known, every_line, nothing=amounts == 0
        )
        self._reject_cells(table, columns, lines, fine)
        qualities = np.repeat(self._qualities(table, lines), count)
        self._add(
            names, every_meter, flows, interval_s, instants, amounts, qualities, every_line,
            there & (flows > 0) & (qualities >= 0),
        )  # fmt: skip

    def _add(
        self,
        names: list[tuple[str, str]],
        meters: IntColumn,
        flows: IntColumn,
        interval_s: int,
        instants: IntColumn,
        amounts: IntColumn,
        qualities: QualityColumn,
        lines: IntColumn,
        wanted: Mask,
    ) -> None:
        for flow in (Flow.IMPORT, Flow.EXPORT):
            rows = np.flatnonzero(wanted & (flows == int(flow)))
            self._builder.add_many(
                [Series(scheme, name, flow, interval_s) for scheme, name in names],
                source=meters[rows],
                starts_at=instants[rows],
                amount=amounts[rows],
                quality=qualities[rows],
                lines=lines[rows],
            )

    def _meters(self, table: pl.DataFrame) -> tuple[IntColumn, list[tuple[str, str]]]:
        """Return the number of each row's meter in the list of names, -1 where it has none."""
        column = self._mapping.meter
        if not column:
            return np.zeros(table.height, dtype=np.int64), [("csv", "")]
        texts = table[column].cast(pl.String).fill_null("")
        # A file names a meter row after row: its runs are looked up, not its rows.
        runs = texts.rle().struct.unnest()
        unique = runs["value"].unique(maintain_order=True)
        names = [named(text.strip()) for text in unique.to_list()]
        numbers = pl.Series(
            [i if name is not None else -1 for i, name in enumerate(names)], dtype=pl.Int64
        )
        found = runs["value"].replace_strict(unique, numbers, return_dtype=pl.Int64).to_numpy()
        return np.repeat(found, runs["len"].to_numpy()), [name or ("csv", "") for name in names]

    def _instants(
        self,
        seconds: IntColumn,
        stamps: Stamps,
        group: IntColumn,
        fine: Mask,
        lines: IntColumn,
        *,
        nothing: Mask | None = None,
        clock: RunningClock | None = None,
    ) -> tuple[IntColumn, Mask]:
        if stamps.is_instant:
            return seconds, fine
        found = np.zeros(len(seconds), dtype=np.int64)
        clock = clock or self._clock
        local = clock.instants(
            seconds[fine], group=group[fine], names=self._names, goes_on=self._goes_on,
            are_ends=bool(self._mapping.stamp_is_end) and nothing is None,
        )  # fmt: skip
        found[fine] = local.instant
        skipped = fine & (found == NO_SUCH_TIME)
        zone = clock.zone.key
        if local.doubled:
            self._builder.note(
                f"stamps lie in the hour that {zone} has twice; "
                "the order of the rows says which is which"
            )
        told = skipped if nothing is None else skipped & ~nothing
        self._reject(told, lines, f"has a time that the clock of {zone} skips")
        self._builder.note(f"stamps without offset are on the clock of {zone}")
        return np.where(skipped, 0, found), fine & ~skipped

    def _lengths(
        self,
        table: pl.DataFrame,
        stamps: Stamps,
        instants: IntColumn,
        group: IntColumn,
        fine: Mask,
        lines: IntColumn,
    ) -> tuple[IntColumn, Mask]:
        """Return the length of each interval, 86400 for a local day, and which rows have one."""
        if not self._mapping.ends:
            are_days = not self._mapping.time and are_days_only(table[self._mapping.stamp or ""])
            length_s = self._length(instants, group, fine, lines, are_days=are_days)
            return np.full(len(instants), length_s, dtype=np.int64), fine & (length_s > 0)
        ends = self._ends.read(table)
        there = fine & ~np.isnan(ends.seconds)
        seconds = np.where(there, ends.seconds, 0).astype(np.int64)
        ends_at, told = self._instants(
            seconds, ends, group, there, lines, nothing=there, clock=self._clock_of_ends
        )
        lengths = kept_lengths(ends_at - instants, told)
        if not (stamps.is_instant or ends.is_instant):
            # Where the clock changes a file may reckon the end instead of looking at the clock.
            walls = kept_lengths(seconds - np.nan_to_num(stamps.seconds).astype(np.int64), there)
            lengths = np.where(lengths > 0, lengths, walls)
        known = lengths > 0
        self._reject(fine & ~known, lines, "has an end that is no interval after its start")
        return lengths, known

    def _length(
        self, instants: IntColumn, group: IntColumn, fine: Mask, lines: IntColumn, *, are_days: bool
    ) -> int:
        """Return the length of the rows' intervals, 0 if it is none of ours."""
        if self._interval_s is None:
            try:
                self._interval_s = row_length(instants[fine], group[fine], are_days=are_days)
                self._builder.note(f"intervals are {self._interval_s // 60} minutes long")
            except OddLengthError as error:
                self._interval_s, self._odd = 0, str(error)
        if not self._interval_s:
            self._reject(fine, lines, self._odd)
        return self._interval_s

    def _amounts(
        self,
        column: pl.Series,
        lines: IntColumn,
        interval_s: int,
        *,
        among: Mask,
        reject: bool = True,
    ) -> tuple[IntColumn, Mask]:
        """Return Wh, and which rows have a number."""
        numbers, empty = numbers_of(column, self._mapping.decimal or ".")
        unit = self._mapping.unit or "kwh"
        factor = interval_s / 3600 if unit == "kw" else _KWH[unit]
        energies = numbers * factor
        known = np.isfinite(energies) & (np.abs(energies) < 1e9) & among  # noqa: PLR2004
        if reject:
            wrong = among & ~known & ~empty
            self._reject(wrong, lines, f"has no number in column {column.name!r}")
            rows = np.flatnonzero(among & empty)
            if len(rows):
                self._builder.leave_out("empty values", int(lines[rows[0]]), count=len(rows))
        return kwh_column_to_wh(np.where(known, energies, 0.0)), known

    def _reject_cells(
        self, table: pl.DataFrame, columns: list[str], lines: IntColumn, fine: Mask
    ) -> None:
        for name in columns:
            numbers, empty = numbers_of(table[name], self._mapping.decimal or ".")
            self._reject(fine & np.isnan(numbers) & ~empty, lines, f"has no number in {name!r}")
            rows = np.flatnonzero(fine & empty)
            if len(rows):
                self._builder.leave_out("empty values", int(lines[rows[0]]), count=len(rows))

    def _place(
        self,
        table: pl.DataFrame,
        meters: IntColumn,
        names: list[tuple[str, str]],
        lines: IntColumn,
    ) -> None:
        """Keep the zone that each meter is said to be in."""
        if not self._mapping.meter_zone:
            return
        zones = table[self._mapping.meter_zone].cast(pl.String).fill_null("")
        said = pl.DataFrame({"meter": meters, "zone": zones, "line": lines})
        for meter, zone, line in said.unique(["meter", "zone"], keep="first").sort("line").rows():
            if zone and not is_zone(zone):
                self._builder.reject(line, "names a time zone that there is not")
            elif zone and meter >= 0:
                scheme, name = names[meter]
                self._builder.place(scheme, name, zone)

    def _flows(self, table: pl.DataFrame, default: Flow) -> IntColumn:
        """Return the flow of each row, 0 where it is none of ours."""
        if not self._mapping.flow:
            return np.full(table.height, int(default), dtype=np.int64)
        words = table[self._mapping.flow].cast(pl.String).fill_null("").str.to_lowercase()
        return words.replace_strict(
            list(_FLOWS), [int(flow) for flow in _FLOWS.values()], default=0, return_dtype=pl.Int64
        ).to_numpy()

    def _leave_out_flows(self, table: pl.DataFrame, lines: IntColumn) -> None:
        if not self._mapping.flow:
            return
        words = table[self._mapping.flow].cast(pl.String).fill_null("").str.to_lowercase()
        strange = pl.DataFrame({"word": words, "line": lines}).filter(~words.is_in(list(_FLOWS)))
        kinds = strange.group_by("word").agg(pl.len(), first=pl.col("line").min()).sort("first")
        for number, (word, count, first) in enumerate(kinds.rows()):
            what = f"flow {word[:20]!r}" if number < _FLOWS_TOLD_MAX else "other flows"
            self._builder.leave_out(f"rows of {what}", first, count=count)

    def _qualities(self, table: pl.DataFrame, lines: IntColumn) -> QualityColumn:
        found = self._worded_qualities(table, lines)
        if not self._mapping.estimated:
            return found
        words = table[self._mapping.estimated].cast(pl.String).fill_null("").str.to_lowercase()
        said = words.replace_strict(
            list(ESTIMATED), [int(is_estimated) for is_estimated in ESTIMATED.values()],
            default=-1, return_dtype=pl.Int64,
        ).to_numpy()  # fmt: skip
        self._reject(said < 0, lines, "says neither yes nor no to whether it is an estimate")
        estimate = np.where(said > 0, int(Quality.ESTIMATED_LIKE_DAY), found)
        return np.where(said < 0, -1, np.where(found == int(Quality.RAW), estimate, found))

    def _worded_qualities(self, table: pl.DataFrame, lines: IntColumn) -> QualityColumn:
        if not self._mapping.quality:
            return np.full(table.height, int(Quality.RAW), dtype=np.int8)
        words = table[self._mapping.quality].cast(pl.String).fill_null("").str.to_lowercase()
        found = words.replace_strict(
            ["", *_QUALITIES], [int(Quality.RAW), *_QUALITIES.values()],
            default=-1, return_dtype=pl.Int8,
        ).to_numpy()  # fmt: skip
        self._reject(found < 0, lines, "has a quality that is no word of ours")
        return found

    def _reject(self, wrong: Mask, lines: IntColumn, reason: str) -> None:
        rows = np.flatnonzero(wrong)
        for line in lines[rows[:1000]].tolist():
            self._builder.reject(line, reason)
        if len(rows) > 1000:  # noqa: PLR2004 the first thousand are kept
            self._builder.reject(int(lines[rows[1000]]), reason, count=len(rows) - 1000)
