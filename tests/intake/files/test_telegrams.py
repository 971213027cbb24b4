"""Telegrams: dial values at instants, and the energy between several of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from meterbook.domain.readings import Flow, Quality
from meterbook.intake.files.broken import BrokenFileError
from meterbook.intake.files.dsmr import crc16
from meterbook.intake.files.parsed import Series
from parsing import read_file

FIRST = datetime(2024, 6, 1, 12, 0, 10, tzinfo=UTC)


def telegram(seconds: int, night: float, day: float, fed_in: float = 0) -> bytes:
    stamp = (FIRST + timedelta(seconds=seconds, hours=2)).strftime("%y%m%d%H%M%SS")
    body = (
        f"/XYZ5\\1\r\n\r\n0-0:1.0.0({stamp})\r\n0-0:96.1.1(4B3845)\r\n"
        f"1-0:1.8.1({night:010.3f}*kWh)\r\n1-0:1.8.2({day:010.3f}*kWh)\r\n"
        f"1-0:2.8.1({fed_in:010.3f}*kWh)\r\n!"
    ).encode()
    return body + f"{crc16(body):04X}\r\n".encode()


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("V2_2", ["00000000000000: import dial 2.002 kWh without a time"]),
        ("V3", ["K8EG004046395507: import dial 24691.356 kWh without a time"]),
        ("V4_2", ["3016.829 kWh at 2016-11-13T19:57:57Z"]),
        ("V5", ["K8EG004046395507: import dial 6.825 kWh at 2017-01-02T18:20:02Z"]),
        ("FLUVIUS_V171", ["import dial 15.792 kWh at 2020-05-12T11:54:09Z", "export dial 0.011"]),
    ],
)
def test_one_telegram_tells_dials_and_no_energy(
    shared_data: Path, name: str, notes: list[str]
) -> None:
    read = read_file(shared_data / "dsmr_p1" / f"TELEGRAM_{name}.txt")
    assert (read.reasons, read.summary.readings) == ([], 0)
    for note in notes:
        assert any(note in told for told in read.summary.notes), note


def test_a_wrong_crc_is_rejected(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "dsmr_p1" / "TELEGRAM_V5.txt").read_text()
    (tmp_path / "a.txt").write_text(text.replace("000004.426", "000009.426"))
    assert read_file(tmp_path / "a.txt").reasons == [(1, "has a telegram whose CRC does not fit")]


def test_a_stream_of_telegrams_becomes_the_energy_between_its_marks(tmp_path: Path) -> None:
    # Every ten seconds for two hours: 1 Wh each in turn on two tariffs, 0.5 Wh fed in.
    stream = [
        telegram(n * 10, 100 + (n + 1) // 2 / 1000, 50 + n // 2 / 1000, n // 2 / 1000)
        for n in range(720)
    ]
    (tmp_path / "a.txt").write_bytes(b"noise\r\n" + b"".join(stream))
    read = read_file(tmp_path / "a.txt")
    taken = read.rows[Series("dsmr", "K8E")]
    fed_in = read.rows[Series("dsmr", "K8E", Flow.EXPORT)]
    begin = int(datetime(2024, 6, 1, 12, 30, tzinfo=UTC).timestamp())
    assert taken.starts_at.tolist() == [begin, begin + 1800, begin + 3600]
    assert taken.amount.tolist() == [180, 180, 180]
    assert fed_in.amount.tolist() == [90, 90, 90]
    assert set(taken.quality.tolist()) == {int(Quality.DERIVED)}


def test_dials_far_apart_give_interpolated_half_hours(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(telegram(-10, 1, 0) + telegram(86_390, 49, 0))
    [rows] = [r for s, r in read_file(tmp_path / "a.txt").rows.items() if s.flow == Flow.IMPORT]
    assert len(rows) == 48
    assert (rows.amount.sum(), set(rows.amount.tolist())) == (48_000, {1000})
    assert set(rows.quality.tolist()) == {int(Quality.ESTIMATED_INTERPOLATED)}


def test_a_counter_that_falls_begins_anew(tmp_path: Path) -> None:
    dials = [(0, 100), (3600, 101), (7200, 2), (10_800, 3)]
    (tmp_path / "a.txt").write_bytes(b"".join(telegram(at - 10, wh, 0) for at, wh in dials))
    read = read_file(tmp_path / "a.txt")
    rows = read.rows[Series("dsmr", "K8E")]
    assert rows.amount.tolist() == [500, 500, 500, 500]
    assert np.diff(rows.starts_at).tolist() == [1800, 3 * 1800, 1800]
    assert any("counter fell" in what for what in read.left_out)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("DZG_DVS-7420.2V.G2_mtr0", "0a01445a4700039e2054: export dial 1266.728 kWh"),
        ("EMH_eHZ-GW8E2A500AK2", "02280816: import dial 14800.125 kWh"),
        ("ISKRA_MT175_D1A52-V22-K0t", "0649534b010e1f66299a: import dial 10732.309 kWh"),
        ("ISKRA_MT631-D1A52-K0z-H01_without_PIN", "import dial 2043.000 kWh"),
    ],
)
def test_frames_of_real_meters_tell_their_dials(shared_data: Path, name: str, note: str) -> None:
    read = read_file(shared_data / "sml_binaries" / f"{name}.bin")
    assert read.summary.readings == 0
    assert any(note in told for told in read.summary.notes)


def test_every_dump_is_read_or_named(shared_data: Path) -> None:
    for file in sorted((shared_data / "sml_binaries").glob("*.bin")):
        if "with_error" in file.name:
            with pytest.raises(BrokenFileError, match="no whole SML frame"):
                read_file(file)
        else:
            assert read_file(file).left_out["dial readings without time"], file.name


def test_a_day_of_edifact_is_read_with_its_decimal_comma(shared_data: Path) -> None:
    read = read_file(shared_data / "mscons_edifact" / "MSCONS_TL_SAMPLE02_first_day.txt")
    [(series, rows)] = read.rows.items()
    assert (series.name, series.interval_s) == ("US0001062600000001000000022345671", 900)
    # The sample itself has 20:16 for 20:15: two spans that are no part of an hour.
    whole = [n for n in range(96) if n not in {80, 81}]
    assert rows.starts_at.tolist() == [1_448_924_400 + 900 * n for n in whole]
    assert read.left_out == {"values over no part of an hour and no day": 2}
    assert set(rows.quality.tolist()) == {int(Quality.VALID)}
    text = (shared_data / "mscons_edifact" / "MSCONS_TL_SAMPLE02_first_day.txt").read_text()
    written = [part.split("'")[0] for part in text.split("QTY+220:")[1:]]
    energies = [round(float(q.replace(",", ".")) * 1000) for q in written]
    assert rows.amount.tolist() == [energies[n] for n in whole]


def test_edifact_that_is_cut_off_is_rejected(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "mscons_edifact" / "MSCONS_TL_SAMPLE02_first_day.txt").read_text()
    (tmp_path / "a.txt").write_text(text[: text.index("UNT+")])
    assert "cut off" in read_file(tmp_path / "a.txt").reasons[0][1]


def dials(stamp: str, *kwh: tuple[str, float]) -> str:
    clock = f"0-0:1.0.0({stamp})\r\n" if stamp else ""
    lines = "".join(f"1-0:1.8.{rate}({energy:010.3f}*kWh)\r\n" for rate, energy in kwh)
    return f"/ABC5x\r\n\r\n{clock}0-0:96.1.1(4142)\r\n{lines}!\r\n"


def test_a_total_beside_its_tariffs_is_not_added_to_them(tmp_path: Path) -> None:
    file = tmp_path / "telegrams"
    file.write_text(
        dials("240101000000W", ("0", 150), ("1", 100), ("2", 50))
        + dials("240101003000W", ("0", 151), ("1", 101), ("2", 50))
    )
    assert read_file(file, as_format="dsmr").energies() == {"AB import": 1.0}


def test_four_tariffs_are_added_up(tmp_path: Path) -> None:
    file = tmp_path / "telegrams"
    file.write_text(
        dials("240101000000W", *((rate, 10) for rate in "1234"))
        + dials("240101003000W", *((rate, 11) for rate in "1234"))
    )
    assert read_file(file, as_format="dsmr").energies() == {"AB import": 4.0}


def test_a_stream_without_times_tells_its_last_dial_only(tmp_path: Path) -> None:
    file = tmp_path / "telegrams"
    file.write_text("".join(dials("", ("1", number)) for number in range(100)))
    read = read_file(file, as_format="dsmr")
    assert read.left_out == {"dial readings of telegrams without time": 100}
    assert list(read.summary.notes) == ["dsmr AB: import dial 99.000 kWh without a time"]


@pytest.mark.parametrize(
    "damaged", [[("1", 100.5)], [("1", 900.5), ("2", 50)]], ids=["low", "high"]
)
def test_a_telegram_with_a_damaged_line_makes_no_energy(
    tmp_path: Path, damaged: list[tuple[str, float]]
) -> None:
    file = tmp_path / "telegrams"
    file.write_text(
        dials("240101000000W", ("1", 100), ("2", 50))
        + dials("240101003000W", *damaged)
        + dials("240101010000W", ("1", 101), ("2", 50))
        + dials("240101013000W", ("1", 101.5), ("2", 50))
    )
    read = read_file(file, as_format="dsmr")
    assert read.energies() == {"AB import": 1.5}
    assert read.left_out == {"dial readings that those around them contradict": 1}
