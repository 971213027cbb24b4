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
from pathlib import Path

import sqlalchemy as sa

from benchmarks.servers import running_server  # isort: split  # it finds the tests' modules
from callers import PASSWORD, client_of, signed_in
from meterbook.registry.passwords import password_fits, password_hash
from meterbook.storage.database import Database
from meterbook.storage.tables import hosts, locations, meter_models

HOSTS = 20
CONNECTIONS = 64
SECONDS = 10
LOGINS = 10


def main() -> None:
    """Measure and print one line each."""
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as url:
        database = Database(f"sqlite:///{name}/meterbook.sqlite")
        token = _household_with_hosts(database)
        requests_per_s, p99 = _drive(f"{url}/user/hosts", token)
        print(f"GET /user/hosts, {HOSTS} hosts: {requests_per_s:,.0f} requests/s, p99 {p99}")
        print(f"POST /auth/login: {_login_ms(url):.0f} ms, argon2id alone {_hash_ms():.0f} ms")
        database.close()


def _household_with_hosts(database: Database) -> str:
    account, token = signed_in(database, "bench")
    with database.writing() as connection:
        address = {"street": "S", "number": "1", "city": "C", "zip_code": "Z", "created_at": 0}
        connection.execute(sa.insert(locations).values(account_id=account.id, **address))
        connection.execute(sa.insert(meter_models).values(name="bench", direction=2))
        whose = {"account_id": account.id, "location_id": 1, "meter_model_id": 1}
        device = {"ip": "10.0.0.1", "slave_address": 1, "description": "blah", "created_at": 0}
        rows = [{**whose, **device, "port": 502 + number} for number in range(HOSTS)]
        connection.execute(sa.insert(hosts), rows)
    return token


def _drive(url: str, token: str) -> tuple[float, str]:
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
    p99 = re.search(r"99%\s+(\S+)", done)
    assert rate
    assert p99
    return float(rate[1]), p99[1]


def _login_ms(url: str) -> float:
    with client_of(url) as client:
        began = time.perf_counter()
        for _ in range(LOGINS):
            answer = client.post("/auth/login", json={"username": "bench", "password": PASSWORD})
            answer.raise_for_status()
        return (time.perf_counter() - began) / LOGINS * 1000


def _hash_ms() -> float:
    stored = password_hash(PASSWORD)
    began = time.perf_counter()
    for _ in range(LOGINS):
        password_fits(PASSWORD, stored)
    return (time.perf_counter() - began) / LOGINS * 1000


if __name__ == "__main__":
    main()
