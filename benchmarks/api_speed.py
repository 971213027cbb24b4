"""
How fast the REST API answers: `GET /user/hosts` with 20 hosts, and logging in.

`python -m benchmarks.api_speed` starts one worker on SQLite and drives it with wrk at 64
connections. Logging in costs what argon2id costs, on purpose: its figure stands beside that of
hashing alone.
"""

import re
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from benchmarks.figures import Figure, repeated, show
from benchmarks.servers import running_server  # isort: split  # it finds the tests' modules
from callers import PASSWORD, client_of, signed_in
from meterbook.registry.passwords import password_fits, password_hash
from meterbook.storage.database import Database
from meterbook.storage.tables import hosts, locations, meter_models

HOSTS = 20
CONNECTIONS = 64
SECONDS = 5
RUNS = 5
LOGINS = 10


def figures() -> list[Figure]:
    """Return the figures of several runs."""
    runs: dict[str, list[float]]
    folder = tempfile.TemporaryDirectory(prefix="meterbook-bench-")
    with folder as name, running_server(Path(name)) as url:
        database = Database(f"sqlite:///{name}/meterbook.sqlite")
        _make_household_with_hosts(database)
        database.close()
        runs = repeated(RUNS, partial(measure, url))
    asked = f"GET /user/hosts, {HOSTS} hosts, {CONNECTIONS} connections"
    return [
        Figure(asked, "requests/s", runs["requests/s"], aim=3000),
        Figure("POST /auth/login", "ms", runs["login ms"], lower_is_better=True),
        Figure("argon2id alone", "ms", runs["hash ms"], lower_is_better=True),
    ]


def measure(url: str) -> dict[str, float]:
    """Sign in a few times, and ask for the hosts for some seconds."""
    login_ms, token = _log_in(url)
    requests_per_s = _drive(f"{url}/user/hosts", token)
    return {"requests/s": requests_per_s, "login ms": login_ms, "hash ms": _hash_ms()}


def _make_household_with_hosts(database: Database) -> None:
    account, _ = signed_in(database, "bench")
    with database.writing() as connection:
        address = {"street": "S", "number": "1", "city": "C", "zip_code": "Z", "created_at": 0}
        connection.execute(sa.insert(locations).values(account_id=account.id, **address))
        connection.execute(sa.insert(meter_models).values(name="bench", direction=2))
        whose = {"account_id": account.id, "location_id": 1, "meter_model_id": 1}
        device = {"ip": "10.0.0.1", "slave_address": 1, "description": "blah", "created_at": 0}
        rows = [{**whose, **device, "port": 502 + number} for number in range(HOSTS)]
        connection.execute(sa.insert(hosts), rows)


def _drive(url: str, token: str) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    done = subprocess.run(
        [*command, "-H", f"Authorization: Token {token}", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "Non-2xx" in done:
        raise RuntimeError(done)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done)
    assert rate
    return float(rate[1])


def _log_in(url: str) -> tuple[float, str]:
    with client_of(url) as client:
        began = time.perf_counter()
        for _ in range(LOGINS):
            answer = client.post("/auth/login", json={"username": "bench", "password": PASSWORD})
            answer.raise_for_status()
        token: str = answer.json()["token"]
        return (time.perf_counter() - began) / LOGINS * 1000, token


def _hash_ms() -> float:
    stored = password_hash(PASSWORD)
    began = time.perf_counter()
    for _ in range(LOGINS):
        password_fits(PASSWORD, stored)
    return (time.perf_counter() - began) / LOGINS * 1000


if __name__ == "__main__":
    show(figures())
