"""Green Button: units, flows, qualities, days of 23 to 25 hours, and documents that are traps."""

from pathlib import Path

import pytest

from meterbook.domain.readings import Flow, Quality
from meterbook.intake.files.broken import BrokenFileError
from parsing import read_file

FEED = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">
<entry><id>a</id><link rel="self" href="https://x/UsagePoint/7"/>
 <content><espi:UsagePoint/></content></entry>
<entry><id>b</id><link rel="self" href="https://x/UsagePoint/7/MeterReading/1"/>
 <link rel="related" href="https://x/ReadingType/1"/>
 <content><espi:MeterReading/></content></entry>
<entry><id>c</id><link rel="self" href="https://x/UsagePoint/7/MeterReading/1/IntervalBlock/1"/>
 <link rel="up" href="https://x/UsagePoint/7/MeterReading/1/IntervalBlock"/>
 <content><espi:IntervalBlock>%s</espi:IntervalBlock></content></entry>
<entry><id>d</id><link rel="self" href="https://x/ReadingType/1"/>
 <content><espi:ReadingType><espi:flowDirection>%s</espi:flowDirection>
  <espi:powerOfTenMultiplier>%s</espi:powerOfTenMultiplier><espi:uom>%s</espi:uom>
  <espi:commodity>%s</espi:commodity></espi:ReadingType></content></entry>
</feed>"""


def reading(start: int, value: int, *, duration: int = 1800, quality: str = "") -> str:
    said = f"<espi:ReadingQuality><espi:quality>{quality}</espi:quality></espi:ReadingQuality>"
    return (
        f"<espi:IntervalReading>{said if quality else ''}<espi:timePeriod>"
        f"<espi:duration>{duration}</espi:duration><espi:start>{start}</espi:start>"
        f"</espi:timePeriod><espi:value>{value}</espi:value></espi:IntervalReading>"
    )


def feed(
    path: Path, *readings: str, flow: int = 1, ten: int = 0, uom: int = 72, commodity: int = 1
) -> Path:
    path.write_text(FEED % ("".join(readings), flow, ten, uom, commodity))
    return path


def test_a_utilitys_file_is_read_with_its_total(shared_data: Path) -> None:
    read = read_file(shared_data / "green_button_espi" / "BulkSCEIntervalBlock.xml")
    [(series, rows)] = read.rows.items()
    assert series.name.endswith("RetailCustomer/VJEWP31BE/UsagePoint/NB6WRU")
    assert (series.interval_s, len(rows), rows.amount.sum()) == (900, 97, 24_380)
    assert rows.starts_at[0] == 1_439_449_200
    assert set(rows.quality.tolist()) == {int(Quality.RAW)}


def test_daily_readings_are_local_days_of_23_to_25_hours(shared_data: Path) -> None:
    file = shared_data / "green_button_espi" / "ESPIIntervalBlock.xml"
    with pytest.raises(BrokenFileError, match=r"line 14.*reading type is not in the file"):
        read_file(file)
    [report] = read_file(file, unit="wh").summary.series_reports({}, set())
    assert (report.interval_minutes, report.readings, report.gaps) == (1440, 444, 0)
    assert report.energy_kwh == 9917.817


def test_units_flows_and_qualities_are_ours(tmp_path: Path) -> None:
    file = feed(
        tmp_path / "a.xml",
        reading(1_600_000_200, 12, quality="0"),
        reading(1_600_002_000, 13, quality="8"),
        reading(1_600_003_800, 14, quality="17"),
        reading(1_600_005_600, 15, quality="12"),
        flow=19,
        ten=2,
    )
    read = read_file(file)
    [(series, rows)] = read.rows.items()
    assert (series.name, series.flow) == ("x/UsagePoint/7", Flow.EXPORT)
    assert rows.amount.tolist() == [1200, 1300, 1400]
    assert rows.quality.tolist() == [0, 8, 0]
    assert read.left_out == {"forecasts": 1}


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"uom": 38}, "readings of unit 38 (72 is Wh)"),
        ({"commodity": 2}, "readings of another commodity than electricity"),
        ({"flow": 4}, "readings of flow 4 (1 and 19 are import and export)"),
    ],
    ids=["watts", "gas", "net"],
)
def test_what_is_no_energy_of_one_flow_is_left_out(
    tmp_path: Path, said: dict[str, int], what: str
) -> None:
    read = read_file(feed(tmp_path / "a.xml", reading(1_600_000_200, 1), **said))
    assert (read.summary.readings, read.left_out) == (0, {what: 1})


@pytest.mark.parametrize(
    "document",
    [
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "<feed xmlns='http://www.w3.org/2005/Atom'>" + "<a>" * 100,
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry>" + "x" * 200_000,
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry></feed>",
    ],
    ids=["entity", "outside entity", "depth", "long text", "not well-formed"],
)
def test_a_trap_is_refused(tmp_path: Path, document: str) -> None:
    file = tmp_path / "a.xml"
    file.write_text(document)
    with pytest.raises(BrokenFileError):
        read_file(file, as_format="espi")


def test_a_number_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    file = feed(tmp_path / "a.xml", reading(1_600_000_200, 1))
    file.write_text(file.read_text().replace("<espi:value>1<", "<espi:value>one<"))
    with pytest.raises(BrokenFileError, match=r"line 10, .*value that is no whole number"):
        read_file(file)
