"""
SML: the frames German meters send from their optical eye, as vzlogger or dd dump them.

smllib decodes them. A frame has the meter's number and dial values; most meters know no time of
day (they count seconds since they were mounted), and then the dial values are only reported: a
dump says how high the dials stand, not when.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from smllib.errors import SmlLibException
from smllib.reader import SmlStreamReader

from meterbook.domain.readings import Flow
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.dial_samples import COUNTER_WH_MAX, SampleKeeper, held
from meterbook.intake.files.parsed import (
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.sources import FileSource

START = b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01"
CHUNK_BYTES = 1 << 12
FRAME_BYTES_MAX = 1 << 16  # meters send some hundred bytes
_WATT_HOURS = 30
_TOTALS = {"0100010800ff": Flow.IMPORT, "0100020800ff": Flow.EXPORT}
_TARIFFS = {
    "0100010801ff": Flow.IMPORT, "0100010802ff": Flow.IMPORT,
    "0100020801ff": Flow.EXPORT, "0100020802ff": Flow.EXPORT,
}  # fmt: skip
_NAMES = ("0100600100ff", "0100000009ff", "0100000000ff")
_EPOCH_MIN = 946_684_800  # 2000: smaller numbers are seconds since mounting
_SCALER_MAX = 12


class _Frame(msgspec.Struct):
    number: int
    name: str
    instant: int | None
    dials: dict[Flow, int]
    """Wh."""


def read_sml(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file as one part; lines are frames, counted from 1.

    :raises BrokenFileError: if it holds no frame.
    """
    builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
    samples = SampleKeeper(options.now)
    last: dict[Series, int] = {}
    count = 0
    for frame in _frames(source, builder):
        count += 1
        for flow, counter_wh in frame.dials.items():
            series = Series("sml", frame.name, flow)
            if frame.instant is None:
                builder.leave_out("dial readings without time", frame.number)
                last[series] = counter_wh
            else:
                samples.add(series, (frame.instant, counter_wh, frame.number))
    if not count:
        raise BrokenFileError(source.name, "holds no whole SML frame")
    for series, counter_wh in last.items():
        builder.note(held(series, counter_wh, "without a time"))
    samples.flush(builder)
    yield builder.take()


def _frames(source: FileSource, builder: PartBuilder) -> Iterator[_Frame]:
    number = 0
    with source.opened() as stream:
        reader = SmlStreamReader()
        pending = 0
        while chunk := stream.read(CHUNK_BYTES):
            reader.add(chunk)
            pending += len(chunk)
            if pending > FRAME_BYTES_MAX:
                raise BrokenFileError(source.name, "has an SML frame without end", line=number + 1)
            while True:
                try:
                    frame = reader.get_frame()
                except SmlLibException:
                    number += 1
                    # A dump begins and ends anywhere: a frame that is cut there is no damage.
                    builder.leave_out("frames that are cut or have a wrong checksum", number)
                    continue
                if frame is None:
                    break
                number, pending = number + 1, 0
                taken = _frame(frame, number)
                if taken is None:
                    builder.leave_out("frames that do not parse", number)
                else:
                    yield taken


def _frame(frame: object, number: int) -> _Frame | None:
    try:
        entries = list(frame.get_obis())  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 smllib raises what it likes on damaged frames
        return None
    names = {str(entry.obis): str(entry.value) for entry in entries if entry.obis in _NAMES}
    totals, instant = _dials(entries, _TOTALS)
    tariffs, at = _dials(entries, _TARIFFS)
    # Old meters send their tariffs only: they are added up.
    dials = tariffs | totals
    instant = instant or at
    name = next((names[key] for key in _NAMES if names.get(key)), "")
    return _Frame(number, name[:64], instant, dials)


def _dials(
    entries: Sequence[Any], wanted: Mapping[str, Flow]
) -> tuple[dict[Flow, int], int | None]:
    """Return the dial values in Wh and, where a meter knows it, their time."""
    dials: dict[Flow, int] = {}
    instant = None
    for entry in entries:
        scaler = entry.scaler or 0
        if entry.obis not in wanted or entry.unit != _WATT_HOURS or abs(scaler) > _SCALER_MAX:
            continue
        if not isinstance(entry.value, int):
            continue
        counter_wh = entry.value * 10 ** (scaler + _SCALER_MAX) // 10**_SCALER_MAX
        if not 0 <= counter_wh <= COUNTER_WH_MAX:
            continue
        flow = wanted[str(entry.obis)]
        dials[flow] = dials.get(flow, 0) + counter_wh
        if isinstance(entry.val_time, int) and entry.val_time >= _EPOCH_MIN:
            instant = entry.val_time
    return dials, instant


def is_sml(head: bytes, _name: Path) -> bool:
    """Return whether a file has the start of a frame near its beginning."""
    return START in head
