"""Callers of the API: accounts of each role with a token, made without going through the API."""

import ssl
import time
from typing import Any

import httpx

from meterbook.registry.accounts import Account, Role, add_account
from meterbook.registry.passwords import password_hash
from meterbook.registry.tokens import issue_token
from meterbook.storage.database import Database

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # one for all: making it takes longer than a call
PASSWORD = "strong-password"  # the seed's


class AnyPassword:
    """One hash for all test accounts: hashing is slow on purpose."""

    _hash = ""

    @classmethod
    def stored(cls) -> str:
        """Return what is stored of the seed's password."""
        cls._hash = cls._hash or password_hash(PASSWORD)
        return cls._hash


def signed_in(
    database: Database, username: str, *, role: Role = Role.HOUSEHOLD
) -> tuple[Account, str]:
    """Make an account and return it with a token."""
    now = int(time.time())
    with database.writing() as connection:
        account = add_account(
            connection,
            username=username,
            email=f"{username}@example.com",
            password_hash=AnyPassword.stored(),
            role=role,
            now=now,
        )
        return account, issue_token(connection, account_id=account.id, purpose="api", now=now)


def session_of(database: Database, account: Account) -> str:
    """Begin a browser's session of the account, and return its secret."""
    now = int(time.time())
    with database.writing() as connection:
        return issue_token(
            connection, account_id=account.id, purpose="session", now=now, valid_s=86_400
        )


def client_of(url: str, token: str | None = None) -> httpx.Client:
    """Return an HTTP client that shows the token as the seed writes it."""
    headers = {"Authorization": f"Token {token}"} if token else {}
    return httpx.Client(base_url=url, headers=headers, timeout=60, verify=_NO_TLS)


def own_everything(admin: httpx.Client, user: int, *, meter_id: int) -> None:
    """Make one of each thing of the user: a location, an array, a host, a meter, a device."""
    address = {"street": "S", "number": "1", "city": "C", "zip_code": "Z"}
    location = _made(admin, "locations", {"user": user, **address})["id"]
    roof = {"name": "roof", "peak_W": 1040, "tilt_deg": 20.0, "azimuth_deg": 0.0}
    assert admin.post(f"/user/locations/{location}/arrays", json=roof).status_code == 201
    meter = _made(admin, "meters", {"name": "m", "type": 1})["id"]
    _made(admin, "measurements", {"measurement": "current", "type": 1})
    register = {"measurement": "current", "address": 1, "unit": "A", "meter": meter}
    _made(admin, "registers", register | {"type": 1, "function_code": 3})
    host = {"ip": "127.0.0.1", "port": 502, "slave_address": 1, "user": user, "meter": meter}
    made = _made(admin, "hosts", host | {"location": location})
    assigned = f"/user/hosts/{made['id']}/measurements"
    assert admin.post(assigned, json={"measurements": ["current"]}).status_code == 201
    _made(admin, "meter-points", {"meter_id": meter_id, "user": user})
    # A device sends without a key, as this network may; an admin gives it to the user.
    assert admin.get("/input/post?csv=1", headers={"Authorization": ""}).text == "ok"
    assert admin.patch("/admin/devices/1", json={"user": user}).status_code == 200


def _made(admin: httpx.Client, things: str, body: dict[str, Any]) -> Any:
    answer = admin.post(f"/admin/{things}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()
