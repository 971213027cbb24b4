"""The dashboard's pages with a million meters in 20 regions and 400 days of regional roll-ups."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import sqlalchemy as sa

from benchmarks.big_book import ZONE, make_meters
from benchmarks.figures import Figure
from benchmarks.servers import running_server
from meterbook.domain.local_days import day_number, local_day
from meterbook.jobs.region_meters import count_region_meters
from meterbook.queries.region_profiles import regional_profile
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.tokens import issue_token
from meterbook.rollups.changes import put_days
from meterbook.rollups.sums import DaySums
from meterbook.storage.database import Database

METERS = int(os.environ.get("METERBOOK_TEST_METERS", "1000000"))
REGIONS = 20
DAYS = 400
REQUESTS = 30
HALF_HOURS = 48
DASHBOARD_MS_MAX = 200.0
PROFILE_MS_MAX = 50.0


def make_book(folder: Path, *, now: int) -> str:
    """Fill a book with meters and roll-ups, and return an operator's token."""
    database = make_meters(folder, meters=METERS)
    today = day_number(local_day(now, ZoneInfo(ZONE)))
    with database.writing() as connection:
        connection.execute(
            sa.text("UPDATE meter_points SET region = 'region ' || (id % :regions)"),
            {"regions": REGIONS},
        )
        put_days(connection, _sums(today))
        account = add_account(
            connection, username="o", email="o@example.com", password_hash="", role=Role.OPERATOR,
            now=now,
        )  # fmt: skip
        token = issue_token(connection, account_id=account.id, purpose="api", now=now)
    count_region_meters(database, now=now)
    database.close()
    return token


def _sums(today: int) -> dict[tuple[int, str, str], DaySums]:
    shape = np.random.default_rng(2025)
    per_region = METERS // REGIONS
    reporting = np.full(HALF_HOURS, per_region, dtype=np.int64)
    sums = {}
    for day in range(today - DAYS, today):
        for region in range(REGIONS):
            energies = shape.integers(80, 400, HALF_HOURS, dtype=np.int64) * per_region
            sums[day, ZONE, f"region {region}"] = DaySums(
                int(energies.sum()), per_region, per_region * 47, per_region, 0, energies, reporting
            )
    return sums


def _answer_ms(client: httpx.Client, path: str) -> list[float]:
    runs = []
    for number in range(REQUESTS + 2):
        began = time.perf_counter()
        answer = client.get(path)
        took_ms = (time.perf_counter() - began) * 1000
        answer.raise_for_status()
        if number > 1:  # the first ones read templates and fill caches
            runs.append(took_ms)
    return runs


def figures() -> Sequence[Figure]:
    """Return how long each answer takes, with one connection."""
    now = int(time.time())
    today = local_day(now, ZoneInfo(ZONE))
    first = local_day(now - DAYS * 86_400, ZoneInfo(ZONE))
    page = {"Accept": "text/html"}
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        token = make_book(Path(folder), now=now)
        headers = {"Authorization": f"Token {token}"}
        with (
            running_server(Path(folder)) as url,
            httpx.Client(base_url=url, headers=headers | page, timeout=60) as client,
        ):
            name = f"{METERS:,} meters, {REGIONS} regions"
            paths = {
                f"dashboard of 30 days, {name}": "/management-dashboard/",
                f"dashboard of {DAYS} days, {name}": (
                    f"/management-dashboard/?from={first}&to={today}"
                ),
                f"region page of 30 days, {name}": "/management-dashboard/region?region=region+7",
            }
            found = [
                Figure(f"{words}: answer", "ms", _answer_ms(client, path), DASHBOARD_MS_MAX,
                       lower_is_better=True)
                for words, path in paths.items()
            ]  # fmt: skip
        found.append(_profile_figure(Path(folder), now=now))
    return found


def _profile_figure(folder: Path, *, now: int) -> Figure:
    database = Database(f"sqlite:///{folder / 'meterbook.sqlite'}")
    day = local_day(now - 86_400, ZoneInfo(ZONE))
    runs = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        with database.reading() as connection:
            points = regional_profile(connection, day=day)
        runs.append((time.perf_counter() - began) * 1000)
        assert len(points) == HALF_HOURS
    database.close()
    name = f"half-hours of one day over {METERS:,} meters"
    return Figure(name, "ms", runs, PROFILE_MS_MAX, lower_is_better=True)
