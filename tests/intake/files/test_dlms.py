"""DLMS push lists: every telegram of the samples, frames cut anywhere, stamps without offset."""

import contextlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.readings import Flow, Quality
from meterbook.intake.files.axdr import NoAxdrError, decoded
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.hdlc import informations
from meterbook.intake.files.parsed import Series
from meterbook.intake.files.push_lists import EncryptedListError, PushList, push_list
from parsing import hdlc_frame, read_file

OSLO = ZoneInfo("Europe/Oslo")
CODES = {
    "active_power_import": "1.0.1.7.0", "active_power_export": "1.0.2.7.0",
    "reactive_power_import": "1.0.3.7.0", "reactive_power_export": "1.0.4.7.0",
    "current_l1": "1.0.31.7.0", "current_l2": "1.0.51.7.0", "current_l3": "1.0.71.7.0",
    "voltage_l1": "1.0.32.7.0", "voltage_l2": "1.0.52.7.0", "voltage_l3": "1.0.72.7.0",
    "active_power_import_total": "1.0.1.8.0", "active_power_export_total": "1.0.2.8.0",
    "reactive_power_import_total": "1.0.3.8.0", "reactive_power_export_total": "1.0.4.8.0",
    **{
        f"{kind}_power_{flow}_l{phase}": f"1.0.{20 * phase + number}.7.0"
        for phase in (1, 2, 3)
        for number, (kind, flow) in enumerate(
            [("active", "import"), ("active", "export"),
             ("reactive", "import"), ("reactive", "export")], start=1
        )
    },
}  # fmt: skip


def clock(stamp: str, deviation: int = -0x8000, status: int = 0) -> bytes:
    at = datetime.fromisoformat(stamp)
    return struct.pack(
        ">H6BBhB", at.year, at.month, at.day, at.isoweekday(), at.hour, at.minute, at.second,
        0xFF, deviation, status,
    )  # fmt: skip


def kamstrup(stamp: str, tens_of_wh: int, fed_in: int = 0, **said: Any) -> bytes:
    """Return an hourly list as Kamstrup's interface description has it."""
    version, name = b"Kamstrup_V0001", b"5706567000000001"
    at = clock(stamp, **said)
    return (
        b"\xe6\xe7\x00\x0f\x00\x00\x00\x00\x0c" + at + b"\x02\x09"
        + b"\x0a\x0e" + version
        + b"\x09\x06\x01\x01\x00\x00\x05\xff\x0a\x10" + name
        + b"\x09\x06\x00\x01\x01\x00\x00\xff\x09\x0c" + at
        + b"\x09\x06\x01\x01\x01\x08\x00\xff\x06" + struct.pack(">I", tens_of_wh)
        + b"\x09\x06\x01\x01\x02\x08\x00\xff\x06" + struct.pack(">I", fed_in)
    )  # fmt: skip


def written(path: Path, payloads: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(map(hdlc_frame, payloads)))
    return path


def samples_of(shared_data: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for maker in ("aidon", "kaifa"):
        content = msgspec.json.decode((shared_data / f"dlms_han_push/{maker}.json").read_bytes())
        for case in content["tests"]:
            found += [(content["frames"][name], case) for name in case["inputs"]]
    return found


def test_every_telegram_says_what_it_is_expected_to(shared_data: Path) -> None:
    samples = samples_of(shared_data)
    checked = 0
    for telegram, case in samples:
        found = push_list(bytes.fromhex(telegram))
        has_clock = telegram.startswith("e6e7") or found.clock is not None
        for field, expected in case["decoded"].items():
            name = field.split("'")[1]
            checked += name != "meter_manufacturer"
            if name in CODES:
                assert float(found.numbers[CODES[name]].amount) == float(expected), name
            elif name == "meter_id":
                assert found.name == expected
            elif name == "meter_type":
                assert found.texts["0.0.96.1.7"] == expected
            elif name == "list_ver_id":
                assert expected in found.texts.values()
            elif name == "meter_datetime" and has_clock:
                at = datetime.fromisoformat(expected["datetime"])
                offset = at.utcoffset()
                assert found.clock is not None
                assert found.clock.local_s == at.replace(tzinfo=UTC).timestamp()
                assert found.clock.offset_s == (None if offset is None else offset.total_seconds())
    assert (len(samples), checked) == (26, 212)


def sent_as(found: PushList, code: str) -> int:
    """Return what Kaifa's currents and voltages are multiplied by: the sample has them so."""
    if found.texts.get("1.0.0.2.129") != "KFM_001":
        return 1
    return {"31": 1000, "51": 1000, "71": 1000, "32": 10, "52": 10, "72": 10}.get(
        code.split(".")[2], 1
    )


def test_every_code_of_a_list_has_its_number(shared_data: Path) -> None:
    checked = 0
    for telegram, case in samples_of(shared_data):
        found = push_list(bytes.fromhex(telegram))
        for code, kind, expected in case["obis_elements"]:
            short = code.rsplit(".", 1)[0]
            wanted = expected["decimal"] if isinstance(expected, dict) else expected
            checked += 1
            if kind.endswith("string"):
                assert found.texts[short] == wanted
            else:
                assert found.numbers[short].amount == Decimal(str(wanted)) / sent_as(found, code)
    assert checked == 2 * (17 + 26 + 1 + 12 + 16)


def test_sample_frames_are_told_by_their_length_and_check(shared_data: Path) -> None:
    content = msgspec.json.decode((shared_data / "dlms_han_push/hdlc.json").read_bytes())
    frames = {name: bytes.fromhex(text) for name, text in content["frames"].items()}
    assert list(informations([b"\x7e" + frames["FRAME_EMPTY_INFO"] + b"\x7e"])) == []
    stream = b"".join(
        b"\x7e" + frames[name] for name in frames if name.startswith(("FRAME_", "STUFFED_"))
    )
    short, escape, flag, stuffed = informations([stream + b"\x7e"])
    assert short == b"\x02\x01"
    assert escape is not None
    assert bytes.fromhex("060000067d") in escape
    assert flag is not None
    assert flag.endswith(bytes.fromhex("060000157e"))
    assert stuffed == bytes.fromhex("7e7d03")


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.integers(1, 40), st.data())
def test_frames_are_found_however_the_stream_is_cut(
    payloads: list[bytes], size: int, data: st.DataObject
) -> None:
    stream = b"".join(map(hdlc_frame, payloads))
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert list(informations(chunks)) == payloads
    noise = data.draw(st.binary(max_size=20).map(lambda some: some.replace(b"\x7e", b"")))
    assert [one for one in informations([noise, stream]) if one is not None] == payloads


def test_a_list_in_segments_is_joined() -> None:
    whole = kamstrup("2024-01-15 10:00:10", 1)
    stream = hdlc_frame(whole[:40], segmented=True) + hdlc_frame(whole[40:])
    assert list(informations([stream])) == [whole]


def test_hours_of_dials_become_energy(tmp_path: Path) -> None:
    payloads = [
        kamstrup(f"2024-01-15 {hour:02d}:00:00", 1000 + 7 * hour, hour) for hour in range(6)
    ]
    read = read_file(written(tmp_path / "dump.bin", payloads), stamps_zone=OSLO)
    taken = read.rows[Series("dlms", "5706567000000001")]
    fed_in = read.rows[Series("dlms", "5706567000000001", Flow.EXPORT)]
    begin = int(datetime(2024, 1, 14, 23, tzinfo=UTC).timestamp())
    assert taken.starts_at.tolist() == [begin + 1800 * n for n in range(10)]
    assert (taken.amount.sum(), fed_in.amount.sum()) == (350, 50)
    assert set(taken.quality.tolist()) == {int(Quality.DERIVED)}


def test_a_file_may_be_frames_or_hex_framed_or_not(tmp_path: Path) -> None:
    payloads = [kamstrup(f"2024-01-15 {hour:02d}:00:00", 70 * hour) for hour in range(4)]
    texts = {
        "frames in hex": "".join(hdlc_frame(one).hex(" ") + "\n" for one in payloads),
        "frames in one line": "".join(hdlc_frame(one).hex().upper() for one in payloads),
        "lists in hex": "".join(one.hex() + "\n\n" for one in payloads),
    }
    whole = written(tmp_path / "whole", payloads)
    wanted = read_file(whole, stamps_zone=OSLO).energies()
    assert wanted["5706567000000001 import"] == 2.1
    for name, text in texts.items():
        (tmp_path / "hex").write_text(text)
        assert read_file(tmp_path / "hex", stamps_zone=OSLO).energies() == wanted, name


def test_the_samples_are_read_as_a_file(shared_data: Path, tmp_path: Path) -> None:
    telegrams = {text for text, _ in samples_of(shared_data) if text.startswith("e6e7")}
    (tmp_path / "a.txt").write_text("\n".join(sorted(telegrams)))
    read = read_file(tmp_path / "a.txt", stamps_zone=OSLO)
    notes = " ".join(read.summary.notes)
    for note in (
        "7359992892587665: import dial 22721.380 kWh at 2020-01-21T16:00:00Z",
        "6970631402614476: import dial 79591.144 kWh at 2020-01-25T13:00:10Z",
        "7340734073407340: import dial 4786.979 kWh at 2021-09-22T16:35:30Z",
        "(no name): export dial 0.008 kWh at 2019-12-16T06:59:40Z",
    ):
        assert note in notes, note
    assert read.left_out == {"single dial readings": 8, "lists without dial values": 4}


def test_without_a_zone_a_stamp_without_offset_says_no_time(tmp_path: Path) -> None:
    file = written(tmp_path / "a", [kamstrup(f"2024-01-15 0{hour}:00:00", 1) for hour in (1, 2)])
    read = read_file(file)
    assert read.summary.readings == 0
    assert read.left_out == {"dial readings whose stamp names no zone: say which": 2}
    told = [kamstrup(f"2024-01-15 0{hour}:00:00", hour, deviation=-60) for hour in (1, 2)]
    assert read_file(written(tmp_path / "b", told)).summary.readings == 4


def test_the_hour_that_autumn_has_twice_is_told_by_the_order(tmp_path: Path) -> None:
    hours = ["00", "01", "02", "02", "03", "04"]
    payloads = [
        kamstrup(f"2024-10-27 {hour}:00:00", 100 * n)
        for n, hour in enumerate(hours)
        for _ in range(2)  # a telegram that comes twice is no other hour
    ]
    read = read_file(written(tmp_path / "a", payloads), stamps_zone=OSLO)
    rows = read.rows[Series("dlms", "5706567000000001")]
    assert rows.amount.tolist() == [500] * 10
    assert rows.starts_at[0] == datetime(2024, 10, 26, 22, tzinfo=UTC).timestamp()
    assert any("has twice" in note for note in read.summary.notes)


def test_a_time_the_clock_skips_is_rejected(tmp_path: Path) -> None:
    file = written(tmp_path / "a", [kamstrup("2024-03-31 02:30:00", 5)])
    [reason] = read_file(file, stamps_zone=OSLO).reasons
    assert reason == (1, "has a time that the clock of Europe/Oslo skips")


def test_damage_costs_the_frame_and_not_the_dump(tmp_path: Path) -> None:
    payloads = [kamstrup(f"2024-01-15 {hour:02d}:00:00", 70 * hour) for hour in range(4)]
    dump = b"".join(map(hdlc_frame, payloads))
    one = len(hdlc_frame(payloads[0]))
    damaged = bytearray(dump)
    damaged[one + 60] ^= 1
    (tmp_path / "a").write_bytes(bytes(damaged[30:-9]))
    read = read_file(tmp_path / "a", stamps_zone=OSLO, as_format="dlms")
    assert read.left_out["single dial readings"] == 2
    assert read.left_out["frames that are cut or have a wrong checksum"] >= 2
    (tmp_path / "b").write_bytes(dump[: one // 2])
    with pytest.raises(BrokenFileError, match="holds no whole DLMS telegram"):
        read_file(tmp_path / "b", as_format="dlms")


def test_an_encrypted_list_is_refused_with_its_reason(tmp_path: Path) -> None:
    ciphered = b"\xe6\xe7\x00\xdb\x08" + b"KFM10000" + b"\x1f\x20\x00\x00\x00\x01" + bytes(25)
    file = written(tmp_path / "a", [kamstrup("2024-01-15 01:00:00", 5), ciphered])
    with pytest.raises(BrokenFileError, match=r"line 2, .*is encrypted, and there is no key"):
        read_file(file, stamps_zone=OSLO)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("0184ffffffff", "ends too early"),
        ("01" * 40, "nested too deeply"),
        ("0201ee", "kind 238"),
        ("0906", "no push list"),
        ("e6e7000f0000", "no push list"),
        ("", "no push list"),
    ],
)
def test_what_is_no_list_says_why(body: str, reason: str) -> None:
    with pytest.raises(NoAxdrError, match=reason):
        push_list(bytes.fromhex(body))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_a_named_error(encoded: bytes) -> None:
    for read in (decoded, push_list):
        with contextlib.suppress(NoAxdrError, EncryptedListError):
            read(encoded)
