"""
The permission matrix: every route of the application times everybody who may knock.

The routes come from the application's own table: a new one without a decision here fails.
"""

import re
from typing import Any

import pytest
from litestar import Litestar

from callers import client_of, own_everything, signed_in
from meterbook.app import DEPENDENCIES, ROUTES
from meterbook.registry.accounts import Role
from meterbook.registry.meter_keys import give_meter_key
from meterbook.registry.meters import add_meters
from meterbook.registry.tokens import end_token
from meterbook.storage.database import Database
from servers import Server

CALLERS = (
    "nobody", "household", "other household", "operator", "admin", "meter key", "dead token",
)  # fmt: skip
EVERYBODY = frozenset(CALLERS)
SIGNED_IN = EVERYBODY - {"nobody", "meter key", "dead token"}
STAFF = frozenset({"operator", "admin"})
ADMIN = frozenset({"admin"})
OWNER = frozenset({"household"})

# Who gets past the door. Pages answer nobody with the sign-in page, JSON of them with 401.
DECISIONS: dict[str, frozenset[str]] = {
    "GET /health/live": EVERYBODY,
    "GET /health/ready": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "GET /": EVERYBODY,
    "GET /profile": SIGNED_IN,
    "GET /profile/{meter_id:str}": OWNER | STAFF,
    "GET /profile/{meter_id:str}/consumption": OWNER | STAFF,
    "GET /profile/{meter_id:str}/readings": STAFF,
    "POST /profile/{meter_id:str}/readings": frozenset(),
    "GET /management-dashboard": STAFF,
    "GET /management-dashboard/region": STAFF,
    "GET /management-dashboard/silent": STAFF,
    "GET /management-dashboard/unclaimed": STAFF,
    "GET /management-dashboard/conflicts": STAFF,
    "GET /sites": SIGNED_IN,
    "GET /sites/{location_id:int}": OWNER | STAFF,
    "GET /hosts/{host_id:int}": OWNER | STAFF,
    "GET /profile/{meter_id:str}/consumption/figures": OWNER | STAFF,
    "GET /profile/{meter_id:str}/region": OWNER | STAFF,
    "POST /profile": frozenset(),  # a form: without the page's own token nobody
    "POST /profile/{meter_id:str}/name": frozenset(),
    "GET /register": EVERYBODY,
    "POST /register": frozenset(),
    "GET /profile/{meter_id:str}/live": OWNER | STAFF,
    "GET /sites/{location_id:int}/live": OWNER | STAFF,
    "GET /hosts/{host_id:int}/live": OWNER | STAFF,
    "GET /management-dashboard/live": STAFF,
    "GET /account": SIGNED_IN,
    "POST /account/password": frozenset(),  # forms
    "POST /account/email": frozenset(),
    "POST /account/sign-out-others": frozenset(),
    "GET /devices": SIGNED_IN,
    "GET /devices/unclaimed": STAFF,
    "GET /devices/{device_id:int}": OWNER | STAFF,
    "GET /devices/{device_id:int}/inputs/{input_id:int}": OWNER | STAFF,
    "POST /devices/keys": frozenset(),  # forms
    "POST /devices/keys/{key_id:int}/revoke": frozenset(),
    "POST /devices/{device_id:int}": frozenset(),
    "POST /devices/{device_id:int}/owner": frozenset(),
    "POST /devices/{device_id:int}/inputs/{input_id:int}": frozenset(),
    "POST /devices/{device_id:int}/inputs/{input_id:int}/end": frozenset(),
    "GET /manage": ADMIN,
    "GET /manage/audit": ADMIN,
    "GET /manage/{kind:str}": ADMIN,
    "GET /manage/{kind:str}/new": ADMIN,
    "GET /manage/{kind:str}/{item:str}": ADMIN,
    "GET /manage/{kind:str}/{item:str}/{action:str}": ADMIN,
    "POST /manage/{kind:str}/new": frozenset(),  # forms
    "POST /manage/{kind:str}/{item:str}": frozenset(),
    "POST /manage/{kind:str}/{item:str}/{action:str}": frozenset(),
    "POST /manage/{kind:str}/{item:str}/measurements": frozenset(),
    "POST /manage/{kind:str}/{item:str}/probe": frozenset(),
    "POST /manage/{kind:str}/{item:str}/discover": frozenset(),
    "GET /sign-in": EVERYBODY,
    "POST /sign-in": frozenset(),
    "POST /sign-out": frozenset(),
    "POST /preferences": frozenset(),
    "GET /assets/{fingerprint:str}/{name:str}": EVERYBODY,
    "POST /auth/register": EVERYBODY,
    "POST /auth/login": EVERYBODY,
    "POST /auth/logout": SIGNED_IN,
    "GET /auth/info": SIGNED_IN,
    "POST /auth/password": SIGNED_IN,
    "POST /auth/deactivate": SIGNED_IN,
    "GET /user/locations": SIGNED_IN,
    "POST /user/locations": SIGNED_IN,
    "GET /user/locations/{location_id:int}": OWNER,
    "PATCH /user/locations/{location_id:int}": OWNER,
    "DELETE /user/locations/{location_id:int}": OWNER,
    "GET /user/hosts": SIGNED_IN,
    "GET /meters": SIGNED_IN,
    "GET /meters/{meter_id:int}/measurements": SIGNED_IN,
    "GET /user/hosts/{host_id:int}/measurements": OWNER | ADMIN,
    "POST /user/hosts/{host_id:int}/measurements": OWNER | ADMIN,
    "DELETE /user/hosts/{host_id:int}/measurements": OWNER | ADMIN,
    "GET /user/hosts/{host_id:int}/readings": OWNER | STAFF,
    "GET /user/hosts/{host_id:int}/status": OWNER | STAFF,
    "GET /user/hosts/{host_id:int}/traits": OWNER | STAFF,
    "PATCH /user/hosts/{host_id:int}/traits": OWNER | ADMIN,
    "POST /admin/hosts/{host_id:int}/counter-events": ADMIN,
    "GET /user/locations/{location_id:int}/energy": OWNER | STAFF,
    "GET /user/locations/{location_id:int}/arrays": OWNER | STAFF,
    "POST /user/locations/{location_id:int}/arrays": OWNER | ADMIN,
    "PATCH /user/locations/{location_id:int}/arrays/{array_id:int}": OWNER | ADMIN,
    "DELETE /user/locations/{location_id:int}/arrays/{array_id:int}": OWNER | ADMIN,
    "GET /user/device-keys": SIGNED_IN,
    "POST /user/device-keys": SIGNED_IN,
    "DELETE /user/device-keys/{key_id:int}": SIGNED_IN,
    "GET /user/devices": SIGNED_IN,
    "PATCH /user/devices/{device_id:int}": OWNER | ADMIN,
    "POST /user/devices/{device_id:int}/inputs/{input_id:int}/claim": OWNER | ADMIN,
    "DELETE /user/devices/{device_id:int}/inputs/{input_id:int}/claim": OWNER | ADMIN,
    "GET /files": SIGNED_IN,
    "POST /files": frozenset(),
    "GET /files/all": SIGNED_IN,
    "POST /imports": SIGNED_IN,
    "GET /imports": SIGNED_IN,
    "GET /exports/{format:str}": SIGNED_IN,
    "GET /v1/electricity-meter-points/{mpan:str}/meters/{serial:str}/consumption": OWNER | STAFF,
    "GET /admin/unclaimed-devices": STAFF,
    "GET /admin/unclaimed-meters": STAFF,
    "GET /admin/conflicts": STAFF,
    "GET /admin/packet-meters/{meter_id:int}/readings": STAFF,
    "PATCH /admin/packet-meters/{meter_id:int}/readings": STAFF,
    **{
        f"{method} /admin/{path}": ADMIN
        for path, methods in {
            "locations": "GET POST",
            "locations/{location_id:int}": "GET PATCH DELETE",
            "hosts": "GET POST",
            "hosts/{host_id:int}": "GET PATCH DELETE",
            "hosts/{host_id:int}/probe": "POST",
            "hosts/{host_id:int}/discover": "POST",
            "meters": "GET POST",
            "meters/{meter_id:int}": "GET PATCH DELETE",
            "measurements": "GET POST",
            "measurements/{measurement:str}": "GET PATCH DELETE",
            "registers": "GET POST",
            "registers/{register_id:int}": "GET PATCH DELETE",
            "users": "GET",
            "users/{user_id:int}": "GET PATCH DELETE",
            "meter-points": "GET POST",
            "meter-points/{point_id:int}": "PATCH",
            "packet-meters/{meter_id:int}/key": "POST DELETE",
            "audit": "GET",
            "devices/{device_id:int}": "PATCH",
        }.items()
        for method in methods.split()
    },
}
FORMS = {route for route, who in DECISIONS.items() if not who}
METER = 424242


def all_routes() -> list[str]:
    """Return method and path of every route the application has, its static files apart."""
    app = Litestar(ROUTES, dependencies=DEPENDENCIES, openapi_config=None)
    return sorted(
        f"{method} {route.path}"
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method not in {"OPTIONS", "HEAD"}
    )


@pytest.fixture(scope="module")
def tokens(server: Server, book: Database) -> dict[str, str | None]:
    """Give a token for every caller; the household owns one of each thing."""
    household, owner = signed_in(book, "household")
    callers: dict[str, str | None] = {"nobody": None, "household": owner}
    _, callers["other household"] = signed_in(book, "other")
    _, callers["operator"] = signed_in(book, "operator", role=Role.OPERATOR)
    _, admin = signed_in(book, "admin", role=Role.ADMIN)
    callers["admin"] = admin
    _, dead = signed_in(book, "dead")
    callers["dead token"] = dead
    with book.writing() as connection:
        end_token(connection, secret=dead)
        add_meters(connection, [METER], zone="UTC", now=0)
        callers["meter key"] = give_meter_key(connection, meter_id=METER, by=None, now=0)
    with client_of(server.url, admin) as client:
        own_everything(client, household.id, meter_id=METER)
    return callers


def test_every_route_has_a_decision_and_every_decision_a_route() -> None:
    assert sorted(DECISIONS) == all_routes()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", sorted(DECISIONS))
def test_the_door_opens_to_whom_it_should(
    server: Server, book: Database, tokens: dict[str, str | None], route: str, caller: str
) -> None:
    method, path = route.split()
    token = tokens[caller]
    may = caller in DECISIONS[route]
    if may and path == "/auth/logout":
        _, token = signed_in(book, f"leaving {caller}")  # the others' tokens are needed again
    path = filled(path, harmless=may and (method == "DELETE" or path.endswith("/key")))
    # Bodies that change nothing: of what is not there, of no difference, or wrong.
    body: dict[str, Any] = {"measurements": ["nothing"]} if method in {"POST", "DELETE"} else {}
    if path.endswith("/arrays"):
        body = {"name": "roof", "peak_W": 1, "tilt_deg": 0, "azimuth_deg": 0}
    if may and path.endswith("/live"):  # never ends
        with client_of(server.url, token) as client, client.stream("GET", path) as stream:
            assert stream.status_code == 200
        return
    with client_of(server.url, token) as client:
        answer = client.request(method, path, json=None if method == "GET" else body)
    if may:
        assert answer.status_code not in {401, 403}, answer.text
        assert answer.status_code != 404 or method == "DELETE" or path.endswith("/key")
        return
    tokenless = caller in {"nobody", "meter key", "dead token"} and route not in FORMS
    assert answer.status_code in ({401} if tokenless else {403, 404}), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def filled(path: str, *, harmless: bool) -> str:
    """Return the path of a thing that is there; harmless: of one that is not."""
    there = str(METER) if re.search("profile|packet-meters|/v1/", path) else "1"
    path = path.replace("{name:str}", "meterbook.css").replace("{format:str}", "csv")
    path = path.replace("{kind:str}", "hosts").replace("{action:str}", "remove")
    path = path.replace("{item:str}", "1")
    for kind, thing in (("int", "999" if harmless else there), ("str", there)):
        path = re.sub(rf"{{\w+:{kind}}}", thing, path)
    path = path.replace("/readings", "/readings?measurement=current")
    path = path.replace("/management-dashboard", "/management-dashboard/", path.count("/") == 1)
    return path.replace("/admin/measurements/1", f"/admin/measurements/{NAMES[harmless]}")


NAMES = {False: "current", True: "nothing"}
