"""Guessing keys is slowed down; a server of its own, because the whole address has to wait."""

import time
from pathlib import Path

import httpx

from servers import running_server

PACKET = {"id": 1, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}


def test_guessing_keys_is_slowed_down(sqlite_url: str, tmp_path: Path) -> None:
    wrong = {"authorization": "Bearer guess"}
    # All within one minute of the clock, or the count begins anew.
    if 60 - time.time() % 60 < 5:
        time.sleep(6)
    with (
        running_server(tmp_path, database_url=sqlite_url) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        answers = [client.post("/meter", json=PACKET, headers=wrong) for _ in range(70)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
