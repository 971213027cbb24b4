"""Problems: a page for a browser, problem+json for a program."""

from pathlib import Path

import httpx

from servers import running_server


def test_a_browser_gets_a_page_and_a_program_the_document(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        page = httpx.get(f"{server.url}/nowhere", headers={"Accept": "text/html"})
        document = httpx.get(f"{server.url}/nowhere", headers={"Accept": "application/json"})
        refused = httpx.get(f"{server.url}/profile", headers={"Accept": "application/json"})

    assert page.status_code == document.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>Not found</h1>" in page.text
    assert document.headers["content-type"] == "application/problem+json"
    assert document.json()["status"] == 404
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Token")
