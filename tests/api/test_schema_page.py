"""`/schema` and `/schema/docs`: served from here alone, under a strict policy."""

import re

from callers import client_of
from meterbook.storage.database import Database
from servers import Server
from test_openapi import schema_of_today


def test_the_server_serves_the_schema_of_the_snapshot(server: Server) -> None:
    with client_of(server.url) as client:
        served = client.get("/schema").json()
    served["info"]["version"] = "any"
    assert served == schema_of_today()


def test_the_page_needs_nothing_from_elsewhere_and_runs_no_inline_script(
    server: Server, book: Database
) -> None:
    with client_of(server.url) as client:
        page = client.get("/schema/docs").text
        assert "script-src 'self'" in page
        assert "unsafe" not in page
        assert not re.search(r"<script(?![^>]*src=)", page)
        parts = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert len(parts) == 4
        for part in parts:
            assert part.startswith("/"), part
            assert client.get(part).status_code == 200
