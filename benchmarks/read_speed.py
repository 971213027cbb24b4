"""Reading: a month of one meter by day through HTTP, with a million meters and it stored."""

import os
import re
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from benchmarks.big_book import fill_daybook, make_meters
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
UTC = ZoneInfo("UTC")


def make_month(folder: Path) -> tuple[Database, str]:
    """Fill a book with a month of closed days, and return it with an operator's token."""
    database = make_meters(folder, meters=METERS)
    fill_daybook(database, midnight=midnight(FIRST, UTC))
    now = midnight(END, UTC) + 86_400
    close_day(database, day=FIRST, zone=UTC, now=now)
    names = "channel_id, energy, intervals, missing, quality, qualities, revision, closed_at"
    for offset in range(1, (END - FIRST).days):
        statement = f"INSERT INTO ledger (day, {names}) SELECT :day, {names} FROM ledger"  # noqa: S608
        with database.writing() as connection:
            connection.execute(
                sa.text(f"{statement} WHERE day = :first ORDER BY channel_id"),
                {
                    "day": day_number(FIRST + timedelta(days=offset)),
                    "first": day_number(FIRST),
                },
            )
    with database.writing() as connection:
        account = add_account(
            connection, username="o", email="o@example.com", password_hash="", role=Role.OPERATOR,
            now=now,
        )  # fmt: skip
        token = issue_token(connection, account_id=account.id, purpose="api", now=now)
    return database, token


def measure(url: str, token: str, connections: int) -> dict[str, float]:
    """Ask for the month of one meter after the other, at random."""
    printed = subprocess.run(
        [
            _wrk(), "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency",
            "-H", f"Authorization: Token {token}",
            "-s", str(Path(__file__).with_name("months.lua")), url,
            "--", str(METERS), FIRST.isoformat(), END.isoformat(),
        ],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in printed:
        sys.exit(f"questions were refused:\n{printed}")
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert p50
    assert rate
    return {"p50 ms": float(p50[1]) * _LATENCY_MS[p50[2]], "months/s": float(rate[1])}


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
