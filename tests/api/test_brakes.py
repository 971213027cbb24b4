"""Brute force, a crowd at the register, and secrets that must not be found anywhere."""

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from callers import PASSWORD, client_of, signed_in
from meterbook.registry.accounts import Role
from meterbook.registry.personal_data import personal_data, set_customer
from meterbook.registry.sign_in import AttemptLimits, register
from meterbook.storage.database import Database
from meterbook.storage.tables import accounts
from servers import Server, running_server
from services import program

CROWD = 2_000
CONNECTIONS = 64


@pytest.fixture(scope="module")
def two_workers(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server of two workers that lets a crowd register; the other limits as they come."""
    command = ("-m", "meterbook", "serve", "--workers", "2")
    folder = tmp_path_factory.mktemp("workers")
    with running_server(
        folder,
        database_url=module_database_url,
        settings={"registrations_per_minute": str(2 * CROWD)},
        command=command,
    ) as started:
        yield started


def log_in(server: Server, username: str, password: str, *, address: str) -> httpx.Response:
    """Log in from a loopback address of one's own, on a connection of its own."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(transport=transport, timeout=60) as client:
        body = {"username": username, "password": password}
        return client.post(f"{server.url}/auth/login", json=body)


def test_the_sixth_wrong_login_in_a_minute_must_wait_on_every_worker(
    two_workers: Server, module_database_url: str
) -> None:
    book = Database(module_database_url)
    signed_in(book, "victim")
    wrong = [log_in(two_workers, "victim", "wrong", address="127.0.0.1") for _ in range(12)]
    statuses = [answer.status_code for answer in wrong]
    # The minute may turn between two of them: then the count begins anew, once.
    assert statuses[:5] == [401] * 5
    assert 429 in statuses
    assert statuses.count(401) <= 10
    braked = wrong[statuses.index(429)]
    assert 1 <= int(braked.headers["retry-after"]) <= 60
    elsewhere = log_in(two_workers, "victim", PASSWORD, address="127.0.0.2")
    assert elsewhere.status_code == 200
    book.close()


def test_unknown_and_known_accounts_get_the_same_answer(two_workers: Server) -> None:
    unknown = log_in(two_workers, "nobody at all", "wrong", address="127.0.0.3")
    known = log_in(two_workers, "victim", "wrong", address="127.0.0.3")
    assert (unknown.status_code, unknown.json()) == (known.status_code, known.json())
    assert unknown.status_code == 401


def test_of_two_thousand_who_register_one_name_at_once_one_gets_it(database: Database) -> None:
    def attempt(number: int) -> str:
        try:
            register(
                database,
                username="wanted",
                email=f"{number}@example.com",
                password=PASSWORD,
                address="192.0.2.1",
                limits=AttemptLimits(registrations=CROWD),
                valid_s=None,
                now=1_760_000_000,
            )
        except ValueError as error:
            return str(error)
        return "made"

    with ThreadPoolExecutor(32) as crowd:
        outcomes = Counter(crowd.map(attempt, range(CROWD)))
    assert outcomes == {"made": 1, "another account has this username": CROWD - 1}
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(accounts)).scalar() == 1


def test_of_two_thousand_who_register_one_name_over_http_at_once_one_gets_it(
    two_workers: Server, module_database_url: str
) -> None:
    def attempts(first: int) -> list[tuple[int, str]]:
        outcomes = []
        with client_of(two_workers.url) as client:
            for number in range(first, CROWD, CONNECTIONS):
                body = {"username": "sought", "email": f"{number}@sought.com", "password": PASSWORD}
                answer = client.post("/auth/register", json=body)
                outcomes.append((answer.status_code, ", ".join(answer.json().get("errors", ()))))
        return outcomes

    with ThreadPoolExecutor(CONNECTIONS) as crowd:
        outcomes = Counter(chain.from_iterable(crowd.map(attempts, range(CONNECTIONS))))
    assert outcomes == {(201, ""): 1, (400, "username"): CROWD - 1}
    book = Database(module_database_url)
    with book.reading() as connection:
        sought = accounts.c.email.like("%@sought.com") | (accounts.c.username == "sought")
        query = sa.select(sa.func.count()).select_from(accounts).where(sought)
        assert connection.execute(query).scalar() == 1
    book.close()


def test_a_password_of_the_common_ones_is_refused(server: Server) -> None:
    body = {"username": "lazy", "email": "lazy@example.com", "password": "password1"}
    with client_of(server.url) as client:
        answer = client.post("/auth/register", json=body)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["password"]


def test_changing_the_password_ends_every_other_token(server: Server, book: Database) -> None:
    body = {"username": "changer", "email": "changer@example.com", "password": PASSWORD}
    with client_of(server.url) as nobody:
        token = nobody.post("/auth/register", json=body).json()["token"]
        with client_of(server.url, token) as client:
            wrong = {"password": "not it", "new_password": "another-password"}
            assert client.post("/auth/password", json=wrong).status_code == 401
            right = {"password": PASSWORD, "new_password": "another-password"}
            assert client.post("/auth/password", json=right).status_code == 204
            assert client.get("/auth/info").status_code == 200
            leave = {"password": "another-password"}
            assert client.post("/auth/deactivate", json=leave).status_code == 204
            assert client.get("/auth/info").status_code == 401
        gone = {"username": "changer", "password": "another-password"}
        assert nobody.post("/auth/login", json=gone).status_code == 401


def test_the_last_admin_stays(server: Server, book: Database) -> None:
    with book.reading() as connection:
        admins = connection.scalars(sa.select(accounts.c.id).where(accounts.c.role == "admin"))
        assert list(admins) == []
    admin, token = signed_in(book, "only-admin", role=Role.ADMIN)
    with client_of(server.url, token) as client:
        answer = client.delete(f"/admin/users/{admin.id}")
        assert answer.status_code == 409
        assert client.get("/auth/info").status_code == 200


def test_no_password_token_or_fin_is_in_the_dump_the_log_or_an_answer(
    server: Server, book: Database, module_database_url: str, tmp_path: Path
) -> None:
    canaries = {"password": "canary-Pa55word-7391", "fin": "S1234567D"}
    answers = []
    with client_of(server.url) as client:
        body = {"username": "canary", "email": "c@example.com", "password": canaries["password"]}
        canaries["token"] = client.post("/auth/register", json=body).json()["token"]
        typed = {"username": canaries["password"], "password": canaries["password"]}
        answers.append(client.post("/auth/login", json=typed).text)
        answers.append(client.post("/auth/register", json=body).text)
        answers.append(client.post("/auth/login", content=json.dumps(typed)[:-3]).text)
    with client_of(server.url, canaries["token"]) as client:
        answers.append(client.get("/admin/audit").text)
        answers.append(client.get("/user/locations/999").text)
    with book.writing() as connection:
        connection.execute(
            sa.text("INSERT INTO meter_points (id, zone, created_at) VALUES (900, 'UTC', 0)")
        )
        personal = personal_data(data_dir=tmp_path, secret_key="")
        set_customer(connection, personal, meter_point_id=900, name="C", fin=canaries["fin"], now=0)
    places = {"dump": dump_of(book), "log": server.log.read_text(encoding="utf-8")}
    places["answers"] = "".join(answers)
    assert "canary" in places["dump"], "the dump is of this database"
    for kind, canary in canaries.items():
        for place, text in places.items():
            assert canary not in text, f"the {kind} is in the {place}"


def dump_of(book: Database) -> str:
    if book.sqlite_file is not None:
        with sqlite3.connect(book.sqlite_file) as connection:
            return "\n".join(connection.iterdump())
    query = dict(book.url.query)
    command = [str(program("pg_dump")), "-h", str(query["host"]), "-U", "postgres"]
    done = subprocess.run(
        [*command, str(book.url.database)], check=True, capture_output=True, text=True
    )
    return done.stdout
