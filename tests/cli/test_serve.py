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
        ("queue_readings_max", "-1", "must not be negative"),
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
