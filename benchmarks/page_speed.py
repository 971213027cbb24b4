"""Pages: a year of a meter with five years of history, and a meter at a glance, through HTTP."""

import tempfile
import time
import urllib.request
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, repeated, show
from benchmarks.servers import running_server
from meterbook import bulk_load
from meterbook.domain.local_days import midnight, time_zone
from meterbook.domain.readings import HALF_HOUR_S, Quality
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.meters import add_meters, installations_of
from meterbook.registry.tokens import issue_token
from meterbook.simulate.real_homes import MISSING, real_homes
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate

METER = 999_999_999
ZONE = time_zone("Europe/London")
FIRST, END = date(2020, 1, 1), date(2025, 1, 1)
RUNS, PAGES = 5, 30
PATHS = {
    "a year by month, with its map": "?from=2024-01-01&to=2025-01-01",
    "a year by day": "?from=2024-01-01&to=2025-01-01&resolution=day",
    "a month": "?from=2024-03-01&to=2024-04-01",
    "a day": "?from=2024-03-01&to=2024-03-02",
}
AIM_MS = 50.0


def make_history(folder: Path) -> str:
    """Fill a book with five years of one meter, and return an operator's token."""
    database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
    migrate(database)
    home = np.array(real_homes()[0].energy_wh)
    now = int(time.time())
    with database.writing() as connection:
        add_meters(connection, [METER], zone=ZONE.key, now=now)
        account = add_account(
            connection, username="o", email="o@example.com", password_hash="", role=Role.OPERATOR,
            now=now,
        )  # fmt: skip
        token = issue_token(connection, account_id=account.id, purpose="api", now=now)
    with database.reading() as connection:
        channel_id = installations_of(connection, [METER])[METER][0].channel_id
    starts = np.arange(midnight(FIRST, ZONE), midnight(END, ZONE), HALF_HOUR_S)
    amounts = np.resize(home, len(starts))
    starts, amounts = starts[amounts != MISSING], amounts[amounts != MISSING]
    bulk_load.load(
        database,
        channel_id=np.full(len(starts), channel_id),
        starts_at=starts,
        amount=amounts,
        quality=np.full(len(starts), int(Quality.RAW)),
        zone=ZONE,
        now=now,
    )
    database.close()
    return token


def measure(url: str, token: str) -> dict[str, float]:
    """Ask for each page again and again, and return the median time of each, ms."""
    found = {}
    for name, query in PATHS.items():
        address = f"{url}/profile/{METER}/consumption{query}"
        found[name] = _median_ms(address, token)
    found["a meter at a glance"] = _median_ms(f"{url}/profile/{METER}", token)
    return found


def figures() -> list[Figure]:
    """Return the figures of several runs."""
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        token = make_history(Path(folder))
        with running_server(Path(folder)) as url:
            runs = repeated(RUNS, partial(measure, url, token))
    return [
        Figure(f"page: {name}, p50", "ms", times, aim=AIM_MS, lower_is_better=True)
        for name, times in runs.items()
    ]


def _median_ms(address: str, token: str) -> float:
    asked = urllib.request.Request(
        address, headers={"Accept": "text/html", "Authorization": f"Token {token}"}
    )
    times = []
    for _ in range(PAGES):
        begun = time.perf_counter()
        with urllib.request.urlopen(asked, timeout=60) as answer:
            answer.read()
        times.append((time.perf_counter() - begun) * 1000)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    show(figures())
