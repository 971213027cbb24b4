"""`meterbook serve` with settings that cannot be: one line, no traceback, no server."""

from pathlib import Path

import pytest

from commands import run_command


@pytest.mark.parametrize(
    ("setting", "written", "said"),
    [
        ("timezone", "Mars/Olympus", "timezone: unknown time zone: 'Mars/Olympus'"),
        ("trusted_networks", "loopback", "trusted_networks: not a list of networks"),
        ("trusted_proxies", "10.0.0.1/33", "trusted_proxies: not a list of networks"),
        ("log_level", "loud", "log_level: must be one of"),
        ("secret_key", "short", "secret_key must be 32 bytes"),
        ("database", "mysql://u:hidden@h/d", "mysql is not supported"),
        ("database", "postgresql://u:hidden@h:x/d", "METERBOOK_DATABASE is not a database URL"),
        ("queue_readings_max", "-1", "must be a number, and not negative"),
        ("reading_kwh_max", "NaN", "must be a number, and not negative"),
        ("upload_bytes_max", "0", "upload_bytes_max must be more than 0"),
        ("role", "banana", "role must be one of all, web, collect, jobs"),
        ("regions", "/nowhere/regions.geojson", "regions: /nowhere/regions.geojson: No such file"),
        ("poll_seconds", "1", "poll_seconds must be 5 to 3600"),
        ("nonsense", "1", "there is no setting 'nonsense'"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    tmp_path: Path, setting: str, written: str, said: str
) -> None:
    done = run_command("serve", "--port", "1", folder=tmp_path, settings={setting: written})
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr


@pytest.mark.parametrize(("setting", "written"), [("timezone", "Mars/X"), ("poll_seconds", "1")])
def test_the_table_of_settings_says_what_the_server_would_refuse(
    tmp_path: Path, setting: str, written: str
) -> None:
    done = run_command("settings", folder=tmp_path, settings={setting: written})
    assert done.returncode == 1
    assert written in done.stdout
    assert done.stderr.startswith(f"meterbook: {setting}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["verify"],
        ["backup", "kept"],
        ["close-day", "2025-02-08"],
        ["export", "csv", "--out", "out.csv"],
        ["export", "masterdb"],
        ["meter", "key", "5"],
    ],
    ids=" ".join,
)
def test_a_book_that_is_not_there_is_never_in_order(tmp_path: Path, command: list[str]) -> None:
    done = run_command(*command, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"meterbook: there is no book in {tmp_path}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("::1%nowhere", "meterbook: --host ::1%nowhere: Name or service not known"),
        ("192.0.2.1", "meterbook: --host 192.0.2.1, --port 8000: Cannot assign requested address"),
    ],
)
def test_an_address_that_is_not_this_machines_is_named(
    tmp_path: Path, address: str, said: str
) -> None:
    done = run_command("serve", "--host", address, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_without_a_terminal_no_empty_line_is_written(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    refused = run_command("restore", "kept", folder=tmp_path)
    assert refused.stderr == ("meterbook: kept is not a whole backup: no readable manifest.json\n")
    run_command("migrate", folder=tmp_path)
    closed = run_command("close-day", "2025-02-08", folder=tmp_path)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_weak_password_is_said_to_be_the_fault(tmp_path: Path) -> None:
    made = ("account", "create", "ada", "--email", "ada@example.com")
    done = run_command(*made, folder=tmp_path, stdin="short\n")
    assert (done.returncode, done.stderr) == (
        1,
        "meterbook: the password must have 8 to 1024 characters\n",
    )


def test_what_is_no_email_address_makes_no_account(tmp_path: Path) -> None:
    made = ("account", "create", "ada", "--email", "nonsense")
    done = run_command(*made, folder=tmp_path, stdin="a long password\n")
    assert done.returncode == 2
    assert done.stderr == "meterbook: Invalid value for --email: is no e-mail address\n"
    assert list(tmp_path.iterdir()) == []


def test_a_group_alone_shows_its_help_and_nothing_before_it(tmp_path: Path) -> None:
    done = run_command("account", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("no certificate", encoding="ascii")
    (tmp_path / "key.pem").write_text("no key", encoding="ascii")
    alone = run_command("serve", "--tls-certificate", "chain.pem", folder=tmp_path)
    wrong = run_command(
        "serve", "--tls-certificate", "chain.pem", "--tls-key", "key.pem", folder=tmp_path
    )
    assert (alone.returncode, wrong.returncode) == (2, 1)
    assert "belong together" in alone.stderr
    assert wrong.stderr == "meterbook: chain.pem and key.pem are no certificate and its key\n"
