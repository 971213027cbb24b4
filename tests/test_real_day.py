"""
A real day end to end: 47 packets of a London home through HTTP, closed, and read back.

The home is MAC000002 of the Low Carbon London trial. Like every meter of the seed it sends nothing
between 23:30 and midnight.
"""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from commands import PASSWORD, run_command
from servers import running_server

DAY = datetime(2013, 3, 12, tzinfo=UTC)


def packets_of_the_day(raw: Path) -> dict[str, Decimal]:
    """Return stamp to kWh for the 47 half-hours that end by 23:30."""
    packets = {}
    with raw.open(encoding="ascii", newline="") as lines:
        for _, stamp, energy in list(csv.reader(lines))[1:]:
            starts_at = datetime.fromisoformat(stamp.rstrip("0").rstrip(".")).replace(tzinfo=UTC)
            if DAY <= starts_at < DAY + timedelta(hours=23, minutes=30):
                packets[(starts_at + timedelta(minutes=31)).isoformat()] = Decimal(energy.strip())
    return packets


def test_47_real_packets_become_a_closed_day_that_adds_up_to_the_wh(
    database_url: str, tmp_path: Path, shared_data: Path
) -> None:
    packets = packets_of_the_day(shared_data / "lcl_raw_mac000002" / "MAC000002.csv")
    assert len(packets) == 47
    total_kwh = float(sum(packets.values()))
    made = run_command(
        "account", "create", "olga", "--email", "o@example.com", "--role", "operator",
        folder=tmp_path, database_url=database_url, stdin=PASSWORD,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr

    with (
        running_server(tmp_path, database_url=database_url, cold=True) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        for stamp, reading_kwh in packets.items():
            packet = {"id": 2, "timestamp": stamp, "reading_kWh": float(reading_kwh)}
            assert client.post("/meter", json=packet).status_code == 201
        before = consumption(client)
        closed = run_command("close-day", "2013-03-12", folder=tmp_path, database_url=database_url)
        assert closed.stdout == "2013-03-12 UTC: 47 readings into 1 days, 0 of them revised\n"
        after = consumption(client)

    assert before == after
    assert after["total_kWh"] == total_kwh
    assert after["missing_intervals"] == 1
    assert len(after["points"]) == 48
    assert after["points"][-1] == {
        "starts_at": "2013-03-12T23:30:00+00:00",
        "kWh": None,
        "quality": None,
        "missing_intervals": 1,
    }
    verified = run_command("verify", folder=tmp_path, database_url=database_url)
    assert (verified.returncode, verified.stdout) == (0, "the books are in order\n")


def consumption(client: httpx.Client) -> dict[str, Any]:
    """Return the day's consumption as the signed-in operator sees it."""
    if "meterbook_session" not in client.cookies:
        sign_in(client)
    answer = client.get("/profile/2/consumption?from=2013-03-12&to=2013-03-13")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def sign_in(client: httpx.Client) -> None:
    """Sign in as a browser does."""
    assert client.get("/sign-in", headers={"accept": "text/html"}).status_code == 200
    form = {
        "username": "olga",
        "password": PASSWORD,
        "_csrf_token": client.cookies["meterbook_form"],
        "next": "/profile",
    }
    assert client.post("/sign-in", data=form).status_code == 303
