"""Reading: a month of one meter by day through HTTP, with a million meters and it stored."""

import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.big_book import copy_day, fill_daybook, make_meters
from benchmarks.figures import Figure, repeated, show
from benchmarks.packet_speed import _LATENCY_MS, _wrk
from benchmarks.servers import running_server
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_number, midnight
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.tokens import issue_token
from meterbook.storage.database import Database

METERS = int(os.environ.get("METERBOOK_TEST_METERS", "1000000"))
RUNS = 5
SECONDS = 5
FIRST, END = date(2025, 3, 1), date(2025, 4, 1)
MONTH_PATH = f"/profile/METER/consumption?from={FIRST}&to={END}&resolution=day"
UTC = ZoneInfo("UTC")


def make_month(folder: Path) -> tuple[Database, str]:
    """Fill a book with a month of closed days, and return it with an operator's token."""
    database = make_meters(folder, meters=METERS)
    fill_daybook(database, midnight=midnight(FIRST, UTC))
    now = midnight(END, UTC) + 86_400
    close_day(database, day=FIRST, zone=UTC, now=now)
    first = day_number(FIRST)
    copy_day(database, day=first, to=range(first + 1, day_number(END)))
    return database, operator_token(database, now=now)


def operator_token(database: Database, *, now: int) -> str:
    """Add an operator and return a token for the API."""
    with database.writing() as connection:
        account = add_account(
            connection, username="o", email="o@example.com", password_hash="", role=Role.OPERATOR,
            now=now,
        )  # fmt: skip
        return issue_token(connection, account_id=account.id, purpose="api", now=now)


class Asked(msgspec.Struct, frozen=True):
    """What wrk saw."""

    p50_ms: float
    rate: float
    """Answers a second."""


def ask_months(
    url: str,
    path: str,
    *,
    connections: int,
    meters: int,
    step: int = 1,
    token: str = "",
    seconds: int = SECONDS,
) -> Asked:
    """
    Ask for the month of one meter after the other, at random, for some seconds.

    :param path: with METER where the number of the meter goes.
    :param meters: how many there are, their numbers `step` apart.
    """
    printed = subprocess.run(
        [
            _wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
            *(["-H", f"Authorization: Token {token}"] if token else []),
            "-s", str(Path(__file__).with_name("months.lua")), url,
            "--", str(meters), str(step), str(time.time_ns() % 1_000_000), path,
        ],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in printed:
        sys.exit(f"questions were refused:\n{printed}")
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert p50
    assert rate
    return Asked(float(p50[1]) * _LATENCY_MS[p50[2]], float(rate[1]))


def measure(url: str, token: str, connections: int) -> dict[str, float]:
    """Ask for the month of one meter after the other, at random."""
    asked = ask_months(url, MONTH_PATH, connections=connections, meters=METERS, token=token)
    return {"p50 ms": asked.p50_ms, "months/s": asked.rate}


def figures() -> list[Figure]:
    """Return the figures of several runs."""
    found = []
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        database, token = make_month(Path(folder))
        database.close()
        with running_server(Path(folder)) as url:
            for connections in (1, 16):
                runs = repeated(RUNS, partial(measure, url, token, connections))
                name = f"a month of one meter of {METERS:,}, {connections} connections"
                aim = 3.0 if connections == 1 else None
                found.append(
                    Figure(f"{name}: p50", "ms", runs["p50 ms"], aim=aim, lower_is_better=True)
                )
                found.append(Figure(name, "months/s", runs["months/s"]))
    return found


if __name__ == "__main__":
    show(figures())
