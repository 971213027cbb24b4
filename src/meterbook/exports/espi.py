"""
Green Button out: an ESPI feed (NAESB REQ.21) of usage points, meter readings and interval blocks.

A block is a local day. Each flow and length of interval has its own MeterReading and ReadingType.
Qualities are ESPI's own numbers. A usage point says the IANA zone of its days as an Atom category,
for ESPI itself knows only offsets. Element order is the schema's, for readers are strict about it.
"""

from typing import BinaryIO
from xml.sax.saxutils import escape

import msgspec
import sqlalchemy as sa

from meterbook.domain.local_days import utc_text
from meterbook.domain.own_names import ESPI_ZONE_SCHEME, espi_id, usage_point
from meterbook.exports.selection import Selection, intervals_of, selected_days
from meterbook.queries.channel_days import DayReadings
from meterbook.queries.exported import ExportSeries

_BASE = "/espi/1_1/resource"
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">
<id>{id}</id>
<title>Green Button Usage Feed</title>
<updated>{updated}</updated>
"""
_ENTRY = """<entry>
<id>{id}</id>
<link rel="self" href="{base}/{path}"/>
<link rel="up" href="{base}/{up}"/>
{related}{category}<title>{title}</title>
<content>{content}</content>
<published>{updated}</published>
<updated>{updated}</updated>
</entry>
"""
_TYPE = (
    "<espi:ReadingType><espi:accumulationBehaviour>4</espi:accumulationBehaviour>"
    "<espi:commodity>1</espi:commodity><espi:dataQualifier>12</espi:dataQualifier>"
    "<espi:flowDirection>{flow}</espi:flowDirection>"
    "<espi:intervalLength>{length_s}</espi:intervalLength><espi:kind>12</espi:kind>"
    "<espi:powerOfTenMultiplier>0</espi:powerOfTenMultiplier>"
    "<espi:timeAttribute>0</espi:timeAttribute><espi:uom>72</espi:uom></espi:ReadingType>"
)
_POINT = (
    "<espi:UsagePoint><espi:ServiceCategory><espi:kind>0</espi:kind></espi:ServiceCategory>"
    "</espi:UsagePoint>"
)
_READING = (
    "<espi:IntervalReading><espi:ReadingQuality><espi:quality>{quality}</espi:quality>"
    "</espi:ReadingQuality><espi:timePeriod><espi:duration>{length_s}</espi:duration>"
    "<espi:start>{starts_at}</espi:start></espi:timePeriod><espi:value>{amount}</espi:value>"
    "</espi:IntervalReading>\n"
)


class _Feed(msgspec.Struct):
    out: BinaryIO
    updated: str
    known: set[str] = msgspec.field(default_factory=set)

    def entry(
        self,
        path: str,
        *,
        title: str,
        content: str,
        up: str = "",
        related: tuple[str, ...] = (),
        category: str = "",
    ) -> None:
        """Write an entry, unless its path was written before."""
        if path in self.known:
            return
        links = "".join(f'<link rel="related" href="{_BASE}/{one}"/>\n' for one in related)
        self.out.write(
            _ENTRY.format(
                id=espi_id(path), base=_BASE, path=path, related=links, content=content,
                category=category,
                up=up or path.rpartition("/")[0], title=escape(title), updated=self.updated,
            ).encode()
        )  # fmt: skip


def write_espi(connection: sa.Connection, out: BinaryIO, selection: Selection, *, now: int) -> int:
    """Write the feed and return its number of readings."""
    feed = _Feed(out, utc_text(now))
    out.write(_HEAD.format(id=espi_id(utc_text(now)), updated=feed.updated).encode())
    count = 0
    for series, days in selected_days(connection, selection):
        for day in days:
            count += _write_day(feed, series, day)
    out.write(b"</feed>\n")
    return count


def _write_day(feed: _Feed, series: ExportSeries, day: DayReadings) -> int:
    intervals = list(intervals_of(day, series))
    # A day known only as its total is a daily reading, however long the clock made it.
    length_s = 86_400 if len(day.amounts) == 1 else day.interval_s
    point = usage_point(series.meter_id)
    kind = f"ReadingType/{int(series.flow)}-{length_s}"
    reading = f"{point}/MeterReading/{int(series.flow)}-{length_s}"
    _describe(feed, series, point=point, kind=kind, reading=reading, length_s=length_s)
    begin, end = intervals[0].starts_at, intervals[-1].starts_at + intervals[-1].length_s
    readings = "".join(
        _READING.format(
            quality=int(one.quality), length_s=one.length_s, starts_at=one.starts_at,
            amount=one.amount,
        )
        for one in intervals
    )  # fmt: skip
    feed.entry(
        f"{reading}/IntervalBlock/{day.day.isoformat()}",
        title=day.day.isoformat(),
        content=(
            f"<espi:IntervalBlock><espi:interval><espi:duration>{end - begin}</espi:duration>"
            f"<espi:start>{begin}</espi:start></espi:interval>\n{readings}</espi:IntervalBlock>"
        ),
    )
    return len(intervals)


def _describe(
    feed: _Feed, series: ExportSeries, *, point: str, kind: str, reading: str, length_s: int
) -> None:
    """Write what describes a series, the first time it is met."""
    flow = series.flow.name.lower()
    feed.entry(
        point,
        title=f"Meter {series.meter_id}",
        content=_POINT,
        related=(f"{point}/MeterReading",),
        category=f'<category scheme="{ESPI_ZONE_SCHEME}" term="{series.zone.key}"/>\n',
    )
    feed.entry(
        kind,
        title=f"Energy, {flow}, every {length_s} s (Wh)",
        content=_TYPE.format(flow=int(series.flow), length_s=length_s),
    )
    feed.entry(
        reading,
        title=f"Meter {series.meter_id}, {flow}",
        content="<espi:MeterReading/>",
        related=(kind, f"{reading}/IntervalBlock"),
    )
    feed.known |= {point, kind, reading}
