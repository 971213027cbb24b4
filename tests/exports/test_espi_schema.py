"""Green Button out, against what NAESB's schema asks (see espi_rules)."""

from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring, parse  # type: ignore[import-untyped]

from books_out import ALL, NOW, Content, fill
from espi_rules import broken_rules
from meterbook.domain.readings import Flow, Quality
from meterbook.exports.formats import EXPORT_FORMATS
from meterbook.storage.database import Database

SPRING, AUTUMN = 19_813, 20_023
"""31 March and 27 October 2024."""


def exported(database: Database, path: Path) -> str:
    qualities = list(Quality)
    content: Content = {
        (meter, flow, day): tuple(
            None if slot % 7 == 3 else (slot, qualities[slot % len(qualities)])
            for slot in range(count)
        )
        for meter, flow, day, count in [
            (1, Flow.IMPORT, SPRING, 46), (1, Flow.EXPORT, SPRING, 46),
            (1, Flow.IMPORT, AUTUMN, 300), (2, Flow.IMPORT, AUTUMN, 50),
            (3, Flow.IMPORT, AUTUMN, 1), (999_999_999, Flow.IMPORT, SPRING, 23),
        ]
    }  # fmt: skip
    fill(database, content)
    with database.reading() as connection:
        EXPORT_FORMATS["espi"].write(connection, path, ALL, NOW)
    return path.read_text()


def test_what_leaves_is_as_the_schema_asks(sqlite_database: Database, tmp_path: Path) -> None:
    feed = fromstring(exported(sqlite_database, tmp_path / "out.xml"))
    assert broken_rules(feed) == []
    assert len(feed.findall("{http://www.w3.org/2005/Atom}entry")) == 4 + 5 + 6 + 6


def test_an_empty_book_leaves_as_a_valid_feed(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.reading() as connection:
        EXPORT_FORMATS["espi"].write(connection, tmp_path / "out.xml", ALL, NOW)
    assert broken_rules(fromstring((tmp_path / "out.xml").read_text())) == []


def test_the_rules_take_the_readings_of_a_utilitys_file(shared_data: Path) -> None:
    feed = parse(shared_data / "green_button_espi" / "BulkSCEIntervalBlock.xml").getroot()
    assert isinstance(feed, Element)
    # What it has beside its readings is of an older version of the schema.
    told = {fault.split(":")[0] for fault in broken_rules(feed)}
    assert not told & {"IntervalBlock", "IntervalReading", "ReadingType", "MeterReading", "value"}
    assert not told & {"interval", "timePeriod", "duration", "start", "cost", "uom", "commodity"}


@pytest.mark.parametrize(
    ("written", "instead", "fault"),
    [
        ("<espi:duration>1800</espi:duration><espi:start>", "<espi:start>", "timePeriod: children"),
        ("<espi:quality>", "<espi:value>0</espi:value><espi:quality>", "ReadingQuality: children"),
        ("<espi:value>", "<espi:value>x", "value: no number"),
        ("<espi:value>", "<espi:value>900000000000000", "out of range"),
        ("<espi:commodity>1</espi:commodity>", "<espi:gas/>", "gas: not known"),
        ("title>", "name>", "entry: not one title"),
        ("<id>urn:uuid:", "<id>", "id is no UUID"),
        ('rel="up"', 'rel="upper"', "no self or up link"),
        ('rel="related"', 'rel="other"', "nothing leads to"),
    ],
)
def test_the_rules_tell_what_is_wrong(
    sqlite_database: Database, tmp_path: Path, written: str, instead: str, fault: str
) -> None:
    text = exported(sqlite_database, tmp_path / "out.xml")
    assert written in text
    assert any(fault in one for one in broken_rules(fromstring(text.replace(written, instead))))
