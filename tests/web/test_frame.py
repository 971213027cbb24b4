"""What every page has: safe headers, files that are kept for good, a language, light or dark."""

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest
import zstandard

from meterbook.web.assets import _PLOTLY_FILE, asset
from meterbook.web.envelope import own_cookies
from servers import Server, running_server

PAGES = ("/", "/sign-in", "/nowhere", "/profile", "/health/live", "/schema/docs")
FIRST_LOAD_BYTES_MAX = 300_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server with an empty book."""
    with running_server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_has_the_strict_policy_and_keeps_itself_to_itself(
    server: Server, path: str
) -> None:
    answer = httpx.get(server.url + path, headers={"Accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*(src=|application/json))|<style|\sstyle=", answer.text)


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_the_chart_script_is_the_packages_own_however_it_is_packed(
    server: Server, encoding: str
) -> None:
    with httpx.stream(
        "GET", server.url + asset("plotly.min.js"), headers={"Accept-Encoding": encoding}
    ) as answer:
        packed = b"".join(answer.iter_raw())
    unpacked = {"": bytes, "gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress}
    if encoding:
        assert answer.headers["content-encoding"] == encoding
        assert len(packed) < 1_600_000
    assert unpacked[encoding](packed) == _PLOTLY_FILE.read_bytes()  # type: ignore[operator]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_a_file_asked_for_by_an_old_address_is_not_kept(server: Server) -> None:
    answer = httpx.get(f"{server.url}/assets/0000000000000000/meterbook.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert httpx.get(f"{server.url}/assets/0/nothing.css").status_code == 404


def test_the_first_page_and_all_it_needs_is_light(server: Server) -> None:
    page = httpx.get(server.url, headers={"Accept": "text/html"})
    parts = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text))
    assert len(parts) >= 3
    loaded = len(page.content)
    for part in parts:
        with httpx.stream("GET", server.url + part) as answer:
            loaded += sum(len(chunk) for chunk in answer.iter_raw())
    assert loaded < FIRST_LOAD_BYTES_MAX


@pytest.mark.parametrize(
    ("accepted", "said"), [("pl", "Język"), ("de", "Sprache"), ("fr", "Language")]
)
def test_the_page_speaks_the_browsers_language(server: Server, accepted: str, said: str) -> None:
    page = httpx.get(server.url, headers={"Accept": "text/html", "Accept-Language": accepted})
    assert said in page.text


def test_language_and_colours_are_remembered_and_only_ours_can_be_chosen(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers={"Accept": "text/html"}) as browser:
        token = re.search(r'name="_csrf_token" value="(\w+)"', browser.get("/").text)
        assert token
        choice = {"_csrf_token": token[1], "language": "pl", "theme": "dark", "next": "//evil"}
        answer = browser.post("/preferences", data=choice)
        assert (answer.status_code, answer.headers["location"]) == (303, "/profile")
        page = browser.get("/").text
        assert '<html lang="pl" data-theme="dark">' in page
        browser.post("/preferences", data=choice | {"language": "<b>", "theme": "<b>"})
        assert browser.get("/").text == page
        assert browser.post("/preferences", data={"theme": "light"}).status_code == 403


def test_only_our_own_cookies_are_looked_at_and_none_that_is_quoted() -> None:
    quotes = b'"' + b'\\"' * 1_000 + b'"'
    given = b"theirs=" + quotes + b"; meterbook_session=ab; meterbook_theme=" + quotes
    headers = [(b"host", b"m"), (b"cookie", given + b";meterbook_language=de"), (b"cookie", b"x=y")]
    assert own_cookies(headers) == [
        (b"host", b"m"),
        (b"cookie", b"meterbook_session=ab; meterbook_language=de"),
        (b"cookie", b""),
    ]


def test_cookies_of_others_do_not_hide_ours(server: Server) -> None:
    quotes = '"' + '\\"' * 1_000 + '"'
    headers = {"Accept": "text/html", "Cookie": f"theirs={quotes}; meterbook_language=de; a="}
    assert '<html lang="de"' in httpx.get(server.url, headers=headers).text


@pytest.mark.parametrize("quality", ["inf", "-inf", "1e999", "nan", "much"])
def test_a_quality_that_is_none_is_no_error(server: Server, quality: str) -> None:
    headers = {"Accept": f"text/html;q={quality}"}
    assert httpx.get(f"{server.url}/nowhere", headers=headers).status_code == 404
