"""
DLMS push lists: what meters in Norway and Sweden send every ten seconds and every hour.

A file is a dump of the wire (HDLC frames, cut anywhere), or text with a telegram a line in hex.
The dial values are in the hourly list; lists without them are counted. A stamp without offset is
read on the clock of `--stamps-zone` or `--zone`; the hour that autumn has twice is told apart by
the order of the telegrams.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from meterbook.domain.local_days import time_zone
from meterbook.domain.readings import Flow
from meterbook.intake.files.axdr import NoAxdrError
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.dial_samples import COUNTER_WH_MAX, SampleKeeper, held
from meterbook.intake.files.hdlc import FLAG, LIST_BYTES_MAX, informations
from meterbook.intake.files.parsed import (
    SITE_KWH_MAX,
    FilePart,
    ParseOptions,
    PartBuilder,
    Series,
)
from meterbook.intake.files.push_lists import (
    WATT_HOURS,
    EncryptedListError,
    ListClock,
    PushList,
    push_list,
)
from meterbook.intake.files.sources import FileSource

HEAD_BYTES = 4_096
_DIALS = {Flow.IMPORT: "1.8", Flow.EXPORT: "2.8"}
_CHANNELS = (0, 1)  # Kamstrup counts in channel 1
_TARIFFS = 4
_HEX = re.compile(rb"[0-9A-Fa-f\s]+")
_BLANK = b" \t\r\n"
_UNFRAMED = re.compile(rb"\xe6[\xe6\xe7]\x00|\x0f.{4}[\x00\x09\x0c]", re.DOTALL)
_DAMAGED = "frames that are cut or have a wrong checksum"
Payload = tuple[int, bytes | None]
"""Number of the telegram, or its line, and what it carries; None where it is damaged."""


def read_dlms(source: FileSource, options: ParseOptions) -> Iterator[FilePart]:
    """
    Yield the file as one part; lines are telegrams, counted from 1.

    :raises BrokenFileError: if it holds no telegram, or one that is encrypted.
    """
    builder = PartBuilder(options, reading_kwh_max=SITE_KWH_MAX)
    samples = SampleKeeper(options.now)
    instants = _Instants(builder, _zone(options))
    untimed: dict[Series, int] = {}
    count = 0
    for number, payload in _payloads(source):
        if payload is None:
            # A dump begins and ends anywhere: a frame that is cut there is no damage.
            builder.leave_out(_DAMAGED, number)
            continue
        count += 1
        try:
            found = push_list(payload)
        except EncryptedListError as error:
            raise BrokenFileError(source.name, str(error), line=number) from None
        except NoAxdrError as error:
            builder.reject(number, f"has a telegram that {error}")
        else:
            _take(builder, samples, instants, found, number, untimed)
    if not count:
        raise BrokenFileError(source.name, "holds no whole DLMS telegram")
    for series, counter_wh in untimed.items():
        builder.note(held(series, counter_wh, "without a time"))
    samples.flush(builder)
    yield builder.take()


def _zone(options: ParseOptions) -> ZoneInfo | None:
    if options.stamps_zone is None and options.mapping.zone:
        return time_zone(options.mapping.zone)
    return options.stamps_zone


def _take(
    builder: PartBuilder,
    samples: SampleKeeper,
    instants: "_Instants",
    found: PushList,
    number: int,
    untimed: dict[Series, int],
) -> None:
    dials = {flow: _dial_wh(found, code) for flow, code in _DIALS.items()}
    known = {flow: counter_wh for flow, counter_wh in dials.items() if counter_wh is not None}
    if not known:
        builder.leave_out("lists without dial values", number)
        return
    if found.clock is None:
        told = None
        builder.leave_out("dial readings without time", number)
    else:
        told = instants.of(found.clock, found.name, known, number)
    for flow, counter_wh in known.items():
        series = Series("dlms", found.name, flow)
        if told is not None:
            samples.add(series, (told, counter_wh, number))
        elif found.clock is None:
            untimed[series] = counter_wh


def _dial_wh(found: PushList, code: str) -> int | None:
    """Return the total, or the sum of the tariffs where a meter sends only these."""
    told = {
        rate: measured.amount
        for rate in range(_TARIFFS + 1)
        for channel in _CHANNELS
        if (measured := found.numbers.get(f"1.{channel}.{code}.{rate}"))
        and measured.unit == WATT_HOURS
    }
    counter_wh = told[0] if 0 in told else sum(told.values(), Decimal())
    if not told or not 0 <= counter_wh <= COUNTER_WH_MAX:
        return None
    return int(counter_wh.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


class _Instants:
    """The instants of clocks that mostly do not say what they are ahead of UTC."""

    def __init__(self, builder: PartBuilder, zone: ZoneInfo | None) -> None:
        self._builder, self._zone = builder, zone
        self._last: dict[str, tuple[int, dict[Flow, int]]] = {}

    def of(self, clock: ListClock, name: str, dials: dict[Flow, int], number: int) -> int | None:
        """Return the instant; None, and the reason is kept, where there is none."""
        instant = self._told(clock, name, dials, number)
        if instant is not None:
            self._last[name] = (instant, dials)
        return instant

    def _told(self, clock: ListClock, name: str, dials: dict[Flow, int], number: int) -> int | None:
        if clock.offset_s is not None:
            return clock.local_s - clock.offset_s
        if self._zone is None:
            self._builder.leave_out("dial readings whose stamp names no zone: say which", number)
            return None
        naive = datetime.fromtimestamp(clock.local_s, UTC).replace(tzinfo=None)
        early, late = (
            int(naive.replace(tzinfo=self._zone, fold=fold).timestamp()) for fold in (0, 1)
        )
        if late < early:
            self._builder.reject(number, f"has a time that the clock of {self._zone.key} skips")
            return None
        self._builder.note(f"stamps without offset are on the clock of {self._zone.key}")
        if early == late:
            return early
        self._builder.note(
            f"stamps lie in the hour that {self._zone.key} has twice; the order of the telegrams "
            "says which is which"
        )
        before, dials_before = self._last.get(name, (early, dials))
        return late if early < before or (early == before and dials != dials_before) else early


def _payloads(source: FileSource) -> Iterator[Payload]:
    with source.opened() as stream:
        head = stream.read(HEAD_BYTES)
        stream_begin = BytesIO(head)
        if _UNFRAMED.match(head):
            yield 1, head + stream.read(LIST_BYTES_MAX)
        elif not _HEX.fullmatch(head):
            yield from enumerate(informations(_chunks(stream_begin, stream)), start=1)
        elif _unhexed(head)[:1] == bytes([FLAG]):
            chunks = _unhexed_chunks(source.name, _chunks(stream_begin, stream))
            yield from enumerate(informations(chunks), start=1)
        else:
            yield from _lines(source)


def _chunks(*streams: BinaryIO) -> Iterator[bytes]:
    for stream in streams:
        while chunk := stream.read(HEAD_BYTES):
            yield chunk


def _unhexed_chunks(name: Path, chunks: Iterator[bytes]) -> Iterator[bytes]:
    line, rest = 1, b""
    for chunk in chunks:
        digits = rest + chunk.translate(None, _BLANK)
        even = len(digits) & ~1
        try:
            yield bytes.fromhex(digits[:even].decode("latin-1"))
        except ValueError:
            raise BrokenFileError(name, "is not only telegrams in hex", line=line) from None
        line, rest = line + chunk.count(b"\n"), digits[even:]


def _lines(source: FileSource) -> Iterator[Payload]:
    with source.opened() as stream:
        line = 0
        while raw := stream.readline(2 * LIST_BYTES_MAX):
            line += 1
            try:
                payload = bytes.fromhex(raw.decode("latin-1"))
            except ValueError:
                raise BrokenFileError(source.name, "is no telegram in hex", line=line) from None
            if payload:
                yield line, payload


def _unhexed(head: bytes) -> bytes:
    """Return the bytes that a file in hex begins with; none where it is not in hex."""
    if not _HEX.fullmatch(head):
        return b""
    digits = head.translate(None, _BLANK).decode()
    return bytes.fromhex(digits[: len(digits) & ~1])


def is_dlms(head: bytes, _name: Path) -> bool:
    """Return whether there is a whole frame near the beginning, or an unframed list at it."""
    begin = _unhexed(head) or head
    return bool(_UNFRAMED.match(begin)) or any(informations([begin]))
