"""The scripts of `deploy/` at work: secrets made once, the newest backups kept."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.written import DEPLOY
from meterbook.registry.personal_data import PersonalData
from meterbook.settings import load_settings
from services import need, program

FAKE_BACKUP = """#!/bin/sh
[ "$1" = backup ] || exit 2
mkdir "$2" && echo "${CONTENT:-book}" > "$2/book"
[ -z "${FAILS:-}" ]
"""


def test_secrets_are_made_once_and_fit(tmp_path: Path) -> None:
    need(program("mosquitto_passwd"), "Mosquitto")
    environment = {**os.environ, "MOSQUITTO_PASSWD": str(program("mosquitto_passwd"))}
    command = [DEPLOY / "compose" / "make-secrets", tmp_path / "secrets"]
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    secrets = {file.name: file.read_text("ascii") for file in (tmp_path / "secrets").iterdir()}
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert {file.name: file.read_text("ascii") for file in (tmp_path / "secrets").iterdir()} == (
        secrets
    )
    assert made.stdout
    assert not again.stdout
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    PersonalData(secrets["secret_key"].strip())
    variables = {
        f"METERBOOK_{name.upper()}_FILE": str(tmp_path / "secrets" / name)
        for name in ("database_url", "secret_key", "mqtt_url")
    }
    variables["METERBOOK_DATABASE_FILE"] = variables.pop("METERBOOK_DATABASE_URL_FILE")
    settings = load_settings(variables, directory=tmp_path)
    assert secrets["database_password"].strip() in settings.database
    assert secrets["mqtt_password_meterbook"].strip() in settings.mqtt_url
    users = secrets["mqtt_users"].splitlines()
    assert [user.split(":")[0] for user in users] == ["meterbook", "devices", "homeassistant"]
    assert all(user.split(":")[1].startswith("$") for user in users)


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Give a folder of three older backups, and a program that makes new ones."""
    (tmp_path / "meterbook").write_text(FAKE_BACKUP, encoding="ascii")
    (tmp_path / "meterbook").chmod(0o755)
    folder = tmp_path / "backups"
    for day in ("2025-02-06", "2025-02-07", "2025-02-08"):
        (folder / f"{day}T013000Z").mkdir(parents=True)
    (folder / ".unfinished-2025-02-08T013000Z").mkdir()
    os.utime(folder / ".unfinished-2025-02-08T013000Z", (0, 0))
    (folder / "of somebody else").mkdir()
    return folder


def back_up(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script once."""
    environment = {
        **os.environ,
        "METERBOOK": str(folder.parent / "meterbook"),
        "BACKUP_FOLDER": str(folder),
        "BACKUPS_KEPT": "2",
        **more,
    }
    return subprocess.run(
        [DEPLOY / "backup"], env=environment, capture_output=True, text=True, check=False
    )


def test_the_newest_backups_are_kept_and_nothing_of_others_is_touched(backups: Path) -> None:
    assert back_up(backups).returncode == 0
    *older, newest, others = sorted(folder.name for folder in backups.iterdir())
    assert older == ["2025-02-08T013000Z"]
    assert (backups / newest / "book").read_text("ascii") == "book\n"
    assert others == "of somebody else"


def test_a_backup_that_fails_takes_no_other_away(backups: Path) -> None:
    assert back_up(backups, FAILS="yes").returncode != 0
    whole = sorted(folder.name for folder in backups.iterdir() if folder.name.startswith("20"))
    assert whole == [f"2025-02-0{day}T013000Z" for day in (6, 7, 8)]


def test_a_backup_under_way_is_left_alone(backups: Path) -> None:
    (backups / ".unfinished-of-another").mkdir()
    assert back_up(backups).returncode == 0
    assert (backups / ".unfinished-of-another").is_dir()


def test_who_waits_for_the_next_backup_ends_when_told(backups: Path) -> None:
    environment = {**os.environ, "BACKUP_FOLDER": str(backups)}
    waiting = subprocess.Popen([DEPLOY / "backup", "--daily"], env=environment)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=0.3)
        waiting.terminate()
        assert waiting.wait(timeout=20) == 0
    finally:
        waiting.kill()
