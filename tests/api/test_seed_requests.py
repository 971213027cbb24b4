"""
Every request printed in the seed, in its order, over HTTP against a started server.

Each case is one printed request with the printed answer; ids are whatever this server gives, so
names in the answers stand for them: `$user` is the id that registering answered.
"""

from typing import Any

import httpx
import pytest

from callers import client_of, signed_in
from meterbook.registry.accounts import Role
from meterbook.storage.database import Database
from servers import Server

JOHN = {"username": "johndoe", "email": "johndoe@example.com"}
SUNNY = {"street": "SunnyStreet", "city": "SilliconCity", "zip_code": "11-420"}
NOWHERE = {"coord_x": None, "coord_y": None}
HOST = {"ip": "127.0.0.1", "slave_address": 1, "user": "$user", "location": "$1st", "meter": "$630"}

# caller, method, path, body, status, answer; a list is compared whole and in order.
Case = tuple[str, str, str, Any, int, Any]
CASES: dict[str, Case] = {
    "register": (
        "nobody", "POST", "/auth/register", JOHN | {"password": "strong-password"},
        201, {"user": JOHN | {"id": "$user"}, "token": "$token"},
    ),
    "login": (
        "nobody", "POST", "/auth/login",
        {"username": "johndoe", "password": "strong-password"},
        200, {"user": JOHN | {"id": "$user"}, "token": "$token"},
    ),
    "info": ("john", "GET", "/auth/info", None, 200, JOHN | {"id": "$user"}),
    "logout": ("john", "POST", "/auth/logout", None, 204, None),
    "login again": (
        "nobody", "POST", "/auth/login",
        {"username": "johndoe", "password": "strong-password"},
        200, {"user": JOHN | {"id": "$user"}, "token": "$token"},
    ),
    "add the first location": (
        "john", "POST", "/user/locations", SUNNY | {"number": "62", "user": "$user"},
        201, SUNNY | NOWHERE | {"id": "$1st", "number": "62", "user": "$user"},
    ),
    "add the second location": (
        "john", "POST", "/user/locations", SUNNY | {"number": "64", "user": "$user"},
        201, SUNNY | NOWHERE | {"id": "$2nd", "number": "64", "user": "$user"},
    ),
    "my locations": (
        "john", "GET", "/user/locations", None, 200,
        [
            SUNNY | NOWHERE | {"id": "$1st", "number": "62", "user": "$user"},
            SUNNY | NOWHERE | {"id": "$2nd", "number": "64", "user": "$user"},
        ],
    ),
    "add a location": (
        "john", "POST", "/user/locations", SUNNY | {"number": "68", "user": "$user"},
        201, SUNNY | NOWHERE | {"id": "$3rd", "number": "68", "user": "$user"},
    ),
    "admin adds meter sdm630": (
        "admin", "POST", "/admin/meters", {"name": "sdm630", "type": 2},
        201, {"id": "$630", "name": "sdm630", "type": 2},
    ),
    "admin adds meter sdm660": (
        "admin", "POST", "/admin/meters", {"name": "sdm660", "type": 2},
        201, {"id": "$660", "name": "sdm660", "type": 2},
    ),
    **{
        f"admin adds measurement {name}": (
            "admin", "POST", "/admin/measurements", {"measurement": name, "type": kind},
            201, {"measurement": name, "type": kind},
        )
        for name, kind in (
            ("active_power", 1), ("voltage_ac", 1), ("voltage_dc", 1),
            ("active_energy_produced", 2), ("active_energy_consumed", 2),
        )
    },
    **{
        f"admin adds register {address}": (
            "admin", "POST", "/admin/registers",
            {"address": address, "measurement": name, "unit": unit, "type": 3,
             "function_code": 4, "meter": "$630"},
            201,
            {"id": "$any", "address": address, "measurement": name, "unit": unit, "type": 3,
             "function_code": 4, "meter": "$630"},
        )
        for address, name, unit in (
            (52, "active_power", "W"), (0, "voltage_ac", "V"), (2, "voltage_dc", "V"),
            (74, "active_energy_produced", "kWh"), (72, "active_energy_consumed", "kWh"),
        )
    },
    "admin adds the first host": (
        "admin", "POST", "/admin/hosts", HOST | {"port": 2137, "description": "blah"},
        201, HOST | {"id": "$host", "port": 2137, "description": "blah"},
    ),
    "admin adds the second host": (
        "admin", "POST", "/admin/hosts", HOST | {"port": 2138, "description": "blah"},
        201, HOST | {"id": "$host2", "port": 2138, "description": "blah"},
    ),
    "my hosts": (
        "john", "GET", "/user/hosts", None, 200,
        [
            HOST | {"id": "$host", "port": 2137, "description": "blah"},
            HOST | {"id": "$host2", "port": 2138, "description": "blah"},
        ],
    ),
    "meters": (
        "john", "GET", "/meters", None, 200,
        [{"id": "$630", "name": "sdm630", "type": 2}, {"id": "$660", "name": "sdm660", "type": 2}],
    ),
    "measurements of a meter": (
        "john", "GET", "/meters/$630/measurements", None, 200,
        [
            {"measurement": "active_power", "type": 1},
            {"measurement": "voltage_ac", "type": 1},
            {"measurement": "voltage_dc", "type": 1},
            {"measurement": "active_energy_produced", "type": 2},
            {"measurement": "active_energy_consumed", "type": 2},
        ],
    ),
    "assign the first measurements": (
        "john", "POST", "/user/hosts/$host/measurements",
        {"measurements": ["voltage_dc", "voltage_ac", "active_power"]}, 201,
        [
            {"id": "$a", "host": "$host", "measurement": "voltage_dc"},
            {"id": "$b", "host": "$host", "measurement": "voltage_ac"},
            {"id": "$c", "host": "$host", "measurement": "active_power"},
        ],
    ),
    "measurements of my host": (
        "john", "GET", "/user/hosts/$host/measurements", None, 200,
        [
            {"id": "$a", "host": "$host", "measurement": "voltage_dc"},
            {"id": "$b", "host": "$host", "measurement": "voltage_ac"},
            {"id": "$c", "host": "$host", "measurement": "active_power"},
        ],
    ),
    "assign measurements": (
        "john", "POST", "/user/hosts/$host/measurements",
        {"measurements": ["active_energy_produced", "active_energy_consumed"]}, 201,
        [
            {"id": "$d", "host": "$host", "measurement": "active_energy_produced"},
            {"id": "$e", "host": "$host", "measurement": "active_energy_consumed"},
        ],
    ),
    "admin locations": (
        "admin", "GET", "/admin/locations", None, 200,
        [
            SUNNY | NOWHERE | {"id": "$1st", "number": "62", "user": "$user"},
            SUNNY | NOWHERE | {"id": "$2nd", "number": "64", "user": "$user"},
            SUNNY | NOWHERE | {"id": "$3rd", "number": "68", "user": "$user"},
        ],
    ),
    "admin adds a location": (
        "admin", "POST", "/admin/locations", SUNNY | {"number": "70", "user": "$user"},
        201, SUNNY | NOWHERE | {"id": "$4th", "number": "70", "user": "$user"},
    ),
    "admin location": (
        "admin", "GET", "/admin/locations/$4th", None,
        200, SUNNY | NOWHERE | {"id": "$4th", "number": "70", "user": "$user"},
    ),
    "admin hosts": (
        "admin", "GET", "/admin/hosts", None, 200,
        [
            HOST | {"id": "$host", "port": 2137, "description": "blah"},
            HOST | {"id": "$host2", "port": 2138, "description": "blah"},
        ],
    ),
    "admin adds a host": (
        "admin", "POST", "/admin/hosts", HOST | {"port": 2282, "description": "test"},
        201, HOST | {"id": "$host3", "port": 2282, "description": "test"},
    ),
    "admin meters": (
        "admin", "GET", "/admin/meters", None, 200,
        [{"id": "$630", "name": "sdm630", "type": 2}, {"id": "$660", "name": "sdm660", "type": 2}],
    ),
    "admin adds meter sdm330": (
        "admin", "POST", "/admin/meters", {"name": "sdm330", "type": 2},
        201, {"id": "$330", "name": "sdm330", "type": 2},
    ),
    "admin adds measurement current": (
        "admin", "POST", "/admin/measurements", {"measurement": "current", "type": 1},
        201, {"measurement": "current", "type": 1},
    ),
    "admin measurements": (
        "admin", "GET", "/admin/measurements", None, 200,
        [
            {"measurement": "active_energy_consumed", "type": 2},
            {"measurement": "active_energy_produced", "type": 2},
            {"measurement": "active_power", "type": 1},
            {"measurement": "current", "type": 1},
            {"measurement": "voltage_ac", "type": 1},
            {"measurement": "voltage_dc", "type": 1},
        ],
    ),
    "admin adds a register": (
        "admin", "POST", "/admin/registers",
        {"address": 12, "measurement": "current", "unit": "A", "type": 1, "function_code": 3,
         "meter": "$330"},
        201,
        {"id": "$register", "address": 12, "unit": "A", "type": 1, "function_code": 3,
         "meter": "$330", "measurement": "current"},
    ),
    "admin users": (
        "admin", "GET", "/admin/users", None, 200,
        [
            {"id": "$any", "username": "root", "email": "root@example.com", "role": "admin",
             "state": "active"},
            JOHN | {"id": "$user", "role": "household", "state": "active"},
        ],
    ),
    "admin user": (
        "admin", "GET", "/admin/users/$user", None,
        200, JOHN | {"id": "$user", "role": "household", "state": "active"},
    ),
}  # fmt: skip


class Conversation:
    """What was said so far: the callers' tokens and the ids behind the names."""

    def __init__(self, server: Server, admin_token: str) -> None:
        self.url = server.url
        self.tokens: dict[str, str | None] = {"nobody": None, "admin": admin_token}
        self.known: dict[str, Any] = {}
        self.found: dict[str, str] = {}

    def reach(self, name: str) -> None:
        """Have every printed request up to this one answered, each once, and judge this one."""
        for earlier, case in CASES.items():
            if earlier not in self.found:
                self.found[earlier] = self.answered(*case)
            if earlier == name:
                break
        assert self.found[name] == ""

    def answered(
        self, caller: str, method: str, path: str, body: Any, status: int, printed: Any
    ) -> str:
        """Make one printed request and say what is wrong with its answer, if anything is."""
        answer = self.ask(caller, method, path, body)
        if answer.status_code != status:
            return f"{answer.status_code}: {answer.text}"
        if printed is None:
            return "" if answer.content == b"" else answer.text
        try:
            self.compare(answer.json(), printed)
        except AssertionError as error:
            return f"{answer.text} is not {printed}: {error}"
        return ""

    def ask(self, caller: str, method: str, path: str, body: Any) -> httpx.Response:
        """Make a request, with ids in the place of their names."""
        with client_of(self.url, self.tokens[caller]) as client:
            named = self.filled(body)
            for name in sorted(self.known, key=len, reverse=True):
                path = path.replace(name, str(self.known[name]))
            return client.request(method, path, json=named)

    def filled(self, content: Any) -> Any:
        """Return the content with ids in the place of their names."""
        if isinstance(content, dict):
            return {key: self.filled(item) for key, item in content.items()}
        if isinstance(content, list):
            return [self.filled(item) for item in content]
        return self.known.get(content, content) if isinstance(content, str) else content

    def compare(self, answer: Any, printed: Any) -> None:
        """Compare an answer with the printed one, learning ids at their first sight."""
        if isinstance(printed, dict):
            assert set(answer) == set(printed)
            for key in printed:
                self.compare(answer[key], printed[key])
        elif isinstance(printed, list):
            assert len(answer) == len(printed)
            for one, other in zip(answer, printed, strict=True):
                self.compare(one, other)
        elif printed == "$token":
            assert len(answer) == 64
            assert int(answer, 16) >= 0
            assert answer != self.tokens.get("john"), "every login makes a new token"
            self.tokens["john"] = answer
        elif printed == "$any":
            assert isinstance(answer, int)
        elif isinstance(printed, str) and printed.startswith("$"):
            assert self.known.setdefault(printed, answer) == answer
        else:
            assert answer == printed


@pytest.fixture(scope="module")
def conversation(server: Server, book: Database) -> Conversation:
    """Give the conversation all cases are part of, with an admin made by hand."""
    _, token = signed_in(book, "root", role=Role.ADMIN)
    return Conversation(server, token)


@pytest.mark.parametrize("name", CASES)
def test_the_printed_request_gets_the_printed_answer(conversation: Conversation, name: str) -> None:
    conversation.reach(name)


def test_a_token_is_dead_after_logout_and_after_the_next_login(
    server: Server, book: Database
) -> None:
    _, first = signed_in(book, "mary")
    with client_of(server.url) as nobody:
        credentials = {"username": "mary", "password": "strong-password"}
        second = nobody.post("/auth/login", json=credentials).json()["token"]
    with client_of(server.url, first) as old, client_of(server.url, second) as new:
        assert old.get("/auth/info").status_code == 401
        assert new.get("/auth/info").status_code == 200
        assert new.post("/auth/logout").status_code == 204
        assert new.get("/auth/info").status_code == 401
