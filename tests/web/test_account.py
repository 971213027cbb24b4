"""Sessions: new at each sign-in, ended by a new password, at once everywhere, and by age."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from callers import PASSWORD, client_of, signed_in
from meterbook.registry.tokens import secret_hash
from meterbook.storage.database import Database
from meterbook.storage.tables import tokens
from meterbook.web.form_tokens import FORM_COOKIE
from servers import Server, running_server

COOKIE = "meterbook_session"
_TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')


@pytest.fixture
def book(sqlite_database: Database) -> Database:
    """Give a book with two households."""
    for name in ("anna", "ben"):
        signed_in(sqlite_database, name)
    return sqlite_database


@pytest.fixture
def server(book: Database, sqlite_url: str, tmp_path: Path) -> Iterator[Server]:
    """Give a server behind a proxy of this machine."""
    settings = {"trusted_proxies": "127.0.0.1/32", "session_idle_minutes": "60"}
    with running_server(tmp_path / "data", database_url=sqlite_url, settings=settings) as started:
        assert book.is_sqlite
        yield started


@pytest.fixture
def browsers(server: Server) -> Iterator[list[httpx.Client]]:
    """Give two browsers in which anna is signed in."""
    with client_of(server.url) as first, client_of(server.url) as second:
        for client in (first, second):
            client.headers["Accept"] = "text/html"
            sign_in(client)
        yield [first, second]


def sign_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    return send(client, "/sign-in", {"username": "anna", "password": password}, action="/sign-in")


def send(client: httpx.Client, page: str, fields: dict[str, str], *, action: str) -> httpx.Response:
    found = _TOKEN.search(client.get(page).text)
    assert found
    return client.post(action, data=fields | {"_csrf_token": found[1]})


def is_in(client: httpx.Client) -> bool:
    return client.get("/account").status_code == 200


NEW = "a-much-stronger-password"
CHANGE = {"password": PASSWORD, "new_password": NEW, "repeated": NEW}


def test_a_new_password_ends_every_other_session_and_only_the_new_one_signs_in(
    browsers: list[httpx.Client],
) -> None:
    first, second = browsers
    done = send(first, "/account", CHANGE, action="/account/password")
    assert done.headers["location"] == "/account?done=password"
    assert "is changed" in first.get("/account?done=password").text
    assert (is_in(first), is_in(second)) == (True, False)
    assert sign_in(second).status_code == 401
    assert sign_in(second, NEW).status_code == 303


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"password": "wrong"}, "password", id="the present one is wrong"),
        pytest.param({"repeated": "another"}, "repeated", id="repeated differently"),
        pytest.param(
            {"new_password": "12345678", "repeated": "12345678"}, "new_password", id="weak"
        ),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_nothing_changes(
    browsers: list[httpx.Client], fields: dict[str, str], field: str
) -> None:
    page = send(browsers[0], "/account", CHANGE | fields, action="/account/password")
    assert page.status_code == 400
    assert f'id="{field}-wrong"' in page.text
    assert NEW not in page.text
    assert is_in(browsers[1])


def test_the_address_is_changed_with_the_password_and_cannot_be_anothers(
    browsers: list[httpx.Client],
) -> None:
    client = browsers[0]

    def change(email: str, password: str = PASSWORD) -> httpx.Response:
        fields = {"email": email, "email_password": password}
        return send(client, "/account", fields, action="/account/email")

    assert change("Anna@New.example").headers["location"] == "/account?done=email"
    assert 'value="anna@new.example"' in client.get("/account").text
    for email, password, field in [
        ("ben@example.com", PASSWORD, "email"),
        ("no address", PASSWORD, "email"),
        ("x@example.com", "wrong", "email_password"),
    ]:
        refused = change(email, password)
        assert refused.status_code == 400
        assert f'id="{field}-wrong"' in refused.text
    assert 'value="anna@new.example"' in client.get("/account").text


def test_one_sees_where_one_is_signed_in_and_signs_out_everywhere_else(
    browsers: list[httpx.Client],
) -> None:
    first, second = browsers
    page = first.get("/account").text
    assert (page.count("this one"), page.count("<td>another</td>")) == (1, 1)
    send(first, "/account", {}, action="/account/sign-out-others")
    assert (is_in(first), is_in(second)) == (True, False)
    assert "Sign out everywhere else" not in first.get("/account").text


def test_signing_in_makes_a_new_secret_and_ends_the_one_shown(
    browsers: list[httpx.Client], server: Server
) -> None:
    before = browsers[0].cookies[COOKIE]
    sign_in(browsers[0])
    assert browsers[0].cookies[COOKIE] != before
    with client_of(server.url) as thief:
        thief.cookies.set(COOKIE, before)
        assert thief.get("/account").status_code == 401


@pytest.mark.parametrize(("column", "ago_s"), [("used_at", 3_700), ("expires_at", 1)])
def test_a_session_ends_when_it_is_idle_and_when_it_is_old(
    browsers: list[httpx.Client], book: Database, column: str, ago_s: int
) -> None:
    secret = secret_hash(browsers[0].cookies[COOKIE])
    with book.writing() as connection:
        connection.execute(
            sa.update(tokens)
            .where(tokens.c.token_hash == secret)
            .values({column: int(time.time()) - ago_s})
        )
    assert (is_in(browsers[0]), is_in(browsers[1])) == (False, True)
    page = browsers[0].get("/profile/1")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/profile/1")


def test_cookies_are_kept_from_scripts_other_sites_and_behind_tls_from_plain_text(
    server: Server,
) -> None:
    for scheme, is_secure in (("http", False), ("https", True), ("http, https", True)):
        with client_of(server.url) as client:
            client.headers["X-Forwarded-Proto"] = scheme
            page = client.get("/sign-in")
            found = _TOKEN.search(page.text)
            assert found
            fields = {"username": "anna", "password": PASSWORD, "_csrf_token": found[1]}
            # A browser would not send a secure cookie by plain HTTP; the proxy's has come by TLS.
            cookie = page.headers["set-cookie"].split(";")[0]
            answer = client.post("/sign-in", data=fields, headers={"Cookie": cookie})
            for given in (page.headers["set-cookie"], answer.headers["set-cookie"]):
                assert ("secure" in given.lower()) is is_secure
                assert "httponly" in given.lower()
                assert "samesite=lax" in given.lower()


def test_forms_of_the_account_need_the_pages_own_token(browsers: list[httpx.Client]) -> None:
    for form in ("password", "email", "sign-out-others"):
        assert browsers[0].post(f"/account/{form}", data=CHANGE).status_code == 403
    assert is_in(browsers[1])


@pytest.mark.parametrize("name", ["csrftoken", FORM_COOKIE])
@pytest.mark.parametrize("cookie", ["of-another-program", "0" * 128], ids=["odd", "old"])
def test_a_cookie_that_this_server_did_not_sign_locks_nobody_out(
    server: Server, name: str, cookie: str
) -> None:
    with client_of(server.url) as client:
        client.headers.update({"Accept": "text/html", "Cookie": f"{name}={cookie}"})
        page = client.get("/sign-in")
        found, given = _TOKEN.search(page.text), page.cookies[FORM_COOKIE]
        assert found
        entered = {"username": "anna", "password": PASSWORD, "_csrf_token": found[1]}
        client.headers["Cookie"] = f"{FORM_COOKIE}={given}"
        assert client.post("/sign-in", data=entered).status_code == 303


def test_what_is_no_token_of_a_form_is_refused_whatever_it_is(server: Server) -> None:
    with client_of(server.url) as client:
        assert client.get("/sign-in").cookies[FORM_COOKIE]
        wide = "é" * 80
        answers = [
            client.post("/sign-in", data={"_csrf_token": wide}),
            client.post("/sign-in", headers={b"x-csrftoken": wide.encode("latin-1")}),
            client.post("/sign-in", files={"_csrf_token": ("token", b"x" * 80)}),
        ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_credentials_for_a_proxy_in_front_sign_nobody_out_but_a_dead_token_does(
    browsers: list[httpx.Client],
) -> None:
    for shown, status in (("Basic dTpw", 200), ("Digest username=u", 200), ("Token dead", 303)):
        answer = browsers[0].get("/account", headers={"Authorization": shown})
        assert answer.status_code == status
