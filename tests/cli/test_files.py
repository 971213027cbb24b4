"""`meterbook import` and `meterbook export` as a person runs them."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

HEADER = "LCLid,tstp,energy(kWh/hh)\n"
NAME, FIN = "Planted Person", "S1234567D"


def run(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "METERBOOK_DATA_DIR": str(data_dir)}
    return subprocess.run(
        [sys.executable, "-m", "meterbook", *arguments],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip


def home(folder: Path, number: int, *rows: str) -> Path:
    path = folder / f"MAC{number:06d}.csv"
    path.write_text(HEADER + "".join(f"MAC{number:06d},{row}\n" for row in rows))
    return path


def test_a_refused_file_is_named_and_the_others_are_stored(tmp_path: Path) -> None:
    home(tmp_path, 1, "2013-01-01 00:00:00, 1 ")
    broken = home(tmp_path, 2, "2013-01-01 00:00:00, 1 ", "2013-01-01 00:30:00, x ")
    home(tmp_path, 3, "2013-01-01 00:00:00, 3 ", "2013-01-01 00:10:00, 3 ")

    done = run(tmp_path / "d", "import", str(tmp_path / "*.csv"), "--format", "lcl")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"meterbook: {broken}: line 3, column 31: is not an energy in kWh, nor Null",
        "meterbook: 1 of 3 files were refused",
    ]
    assert "1 off the half hour (first in line 3)" in done.stdout
    out = run(tmp_path / "d", "export", "masterdb").stdout
    assert msgspec.json.decode(out) == {
        "1": {"previous_day": {"00:31": 1.0}, "2013-01-01": 1.0},
        "3": {"previous_day": {"00:31": 3.0}, "2013-01-01": 3.0},
    }


def test_a_zone_decides_where_days_begin_and_not_what_stamps_mean(tmp_path: Path) -> None:
    path = home(tmp_path, 1, "2013-07-01 22:30:00,1", "2013-07-01 23:00:00,2")

    run(tmp_path / "d", "import", str(path), "--format", "lcl", "--zone", "Europe/London")

    content = msgspec.json.decode(run(tmp_path / "d", "export", "masterdb").stdout)
    assert content == {"1": {"previous_day": {"00:31": 2.0}, "2013-07-02": 2.0, "2013-07-01": 1.0}}


def test_a_recovery_file_goes_out_and_in(tmp_path: Path) -> None:
    path = home(tmp_path, 1, "2013-07-01 22:30:00,1")
    run(tmp_path / "d", "import", str(path), "--format", "lcl")
    file = tmp_path / "recovery-2013-07-01.json"
    run(tmp_path / "d", "export", "recovery", "--day", "2013-07-01", "--out", str(file))
    assert file.read_text() == '{\n"1": {"23:01":1.0}\n}\n'

    done = run(tmp_path / "e", "import", str(file), "--format", "recovery")

    assert done.returncode == 0
    again = run(tmp_path / "e", "export", "recovery", "--day", "2013-07-01")
    assert again.stdout == file.read_text()


def test_an_export_of_nothing_that_is_there_is_an_error(tmp_path: Path) -> None:
    run(tmp_path / "d", "import", str(home(tmp_path, 1, "2013-07-01 22:30:00,1")))
    out = tmp_path / "out.csv"
    flags = ("export", "csv", "--out", str(out))

    unknown = run(tmp_path / "d", *flags, "--meter", "1", "--meter", "4242")
    assert unknown.returncode == 1
    assert unknown.stderr.splitlines() == ["meterbook: there is no meter 4242"]
    wrong = run(tmp_path / "d", *flags, "--from", "2013-07-02", "--to", "2013-07-01")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines() == ["meterbook: Invalid value for --to: must be after --from"]
    nowhere = run(tmp_path / "d", *flags, "--region", "Nowhere")
    assert nowhere.stderr.splitlines() == ["meterbook: there is no meter in Nowhere"]
    assert not out.exists()
    assert run(tmp_path / "d", *flags, "--meter", "1").returncode == 0


def test_a_missing_file_and_an_unknown_zone_are_one_line(tmp_path: Path) -> None:
    missing = run(tmp_path / "d", "import", "/nowhere/a.csv", "--format", "lcl")
    zone = run(tmp_path / "d", "import", "a.csv", "--format", "lcl", "--zone", "Mars/Base")

    assert "meterbook: /nowhere/a.csv: No such file or directory\n" in missing.stderr
    assert zone.stderr == "meterbook: unknown time zone: 'Mars/Base'\n"
    assert (missing.returncode, zone.returncode) == (1, 1)


def test_a_planted_name_and_fin_show_nowhere_but_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "master.json"
    path.write_text(f'{{"1": {{"name": "{NAME}", "fin_no": "{FIN}", "2025-02-11": 1}}}}')
    broken = tmp_path / "broken.json"
    broken.write_text(
        f'{{"1": {{"name": "{NAME}", "{FIN}": 5}}, "2": {{"{NAME}": 1, "{NAME}": 2}}}}'
    )
    torn = tmp_path / "torn.json"
    torn.write_text(path.read_text()[:-9] + "x")
    named = tmp_path / "named.json"
    named.write_text(f'{{"{FIN}": {{}}}}')
    folder = tmp_path / "d"

    shown = [
        run(folder, "import", str(path), "--format", "masterdb"),
        run(folder, "import", *map(str, (broken, torn, named)), "--format", "masterdb"),
        run(folder, "import", str(broken), "--format", "recovery", "--day", "2025-02-11"),
        run(folder, "export", "masterdb"),
        run(folder, "export", "recovery", "--day", "2025-02-11"),
        run(folder, "verify"),
    ]

    assert [done.returncode for done in shown] == [0, 1, 1, 0, 0, 0]
    texts = [done.stdout + done.stderr for done in shown]
    texts += [file.read_bytes().decode("latin-1") for file in folder.rglob("*") if file.is_file()]
    for secret in (NAME, FIN, NAME.split()[1], FIN[1:8]):
        assert not [text for text in texts if secret in text]
    asked = run(folder, "export", "masterdb", "--personal-data").stdout
    assert NAME in asked
    assert FIN in asked
