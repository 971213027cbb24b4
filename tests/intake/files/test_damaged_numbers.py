"""Numbers beyond reason: a file that has one is refused by name, and never breaks its reader."""

import struct
from pathlib import Path

import pytest

from parsing import hdlc_frame, read_file

NEM12 = "100,NEM12,200801010000,X,Y\n200,NMI1,E1,E1,E1,N1,,KWH,30,\n300,20240101,{}\n900\n"
NEM13 = (
    "100,NEM13,2,X,Y\n250,NMI1,E1,1,11,11,S,E,1,20240101000000,A,,,2,20240101003000,A,,,{},KWH,,\n"
    "900\n"
)
HDF = (
    "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time\n"
    "10000000001,1,{},Active Import Interval (kW),02-06-2023 08:30\n"
)
MSCONS = (
    "UNA:+.? 'UNB+UNOC:3'UNH+1+MSCONS:D'LOC+172+DE1'PIA+5+1-1?:1.29.0:SRW'QTY+220:{}'"
    "DTM+163:202401010000?+00:303'DTM+164:202401010030?+00:303'UNT+1'UNZ+1'"
)
ESPI = """<feed xmlns="http://www.w3.org/2005/Atom">
<entry><link rel="self" href="u/ReadingType/1"/><content><ReadingType xmlns="http://naesb.org/espi">
<powerOfTenMultiplier>12</powerOfTenMultiplier><uom>72</uom></ReadingType></content></entry>
<entry><link rel="up" href="u/UsagePoint/1/MeterReading/1/IntervalBlock"/><content>
<IntervalBlock xmlns="http://naesb.org/espi"><IntervalReading><timePeriod><duration>1800</duration>
<start>1704067200</start></timePeriod><value>{}</value></IntervalReading></IntervalBlock>
</content></entry></feed>"""


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "nem12",
            NEM12.format(",".join(["1"] * 48 + ["V\n400,²,48,A"])),
            "first and last interval",
        ),
        ("nem13", NEM13.format("1E20"), "more than 1e+06 kWh"),
        ("hdf", HDF.format("1E999999"), "no home can have"),
        ("hdf", HDF.format("1E300000"), "no home can have"),
        ("hdf", HDF.format("NaN"), "no number"),
        ("mscons", MSCONS.format("1E20"), "more than 1e+06 kWh"),
        ("espi", ESPI.format("9" * 15), "more than 1e+06 kWh"),
    ],
    ids=["superscript", "nem13", "hdf", "hdf with many digits", "hdf without", "mscons", "espi"],
)
def test_a_number_beyond_reason_is_rejected(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    file = tmp_path / "file"
    file.write_text(text, encoding="utf-8")
    read = read_file(file, as_format=name)
    assert read.summary.readings == 0
    assert reason in read.reasons[0][1]


@pytest.mark.parametrize("scaler", [b"\x15" + b"\xff" * 8, b"\x06" + struct.pack(">I", 999_999)],
                         ids=["of 64 bits", "of a million"])  # fmt: skip
def test_a_scaler_beyond_reason_is_none(tmp_path: Path, scaler: bytes) -> None:
    counter = b"\x09\x06\x01\x00\x01\x08\x00\xff\x06" + struct.pack(">I", 12_345)
    pushed = b"\xe6\xe7\x00\x0f\x40\x00\x00\x00\x00\x01\x01\x02\x03" + counter
    file = tmp_path / "file"
    file.write_bytes(hdlc_frame(pushed + b"\x02\x02" + scaler + b"\x16\x1e"))
    assert read_file(file).left_out == {"lists without dial values": 1}
