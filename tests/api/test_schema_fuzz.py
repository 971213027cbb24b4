"""
Schemathesis over the whole OpenAPI schema, signed in as an admin and not at all, on both engines.

Whatever it makes up, the answer is one the schema describes, and never a 500.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from callers import signed_in
from meterbook.registry.accounts import Role
from meterbook.storage.database import Database
from servers import Server

SECONDS = 15  # for each of the four runs
# The contract answers 400 also for what no schema can say: a taken name, a location of another
# user. This one check takes every 400 to a body that fits the schema for a fault.
LEFT_OUT = "positive_data_acceptance"
# These would end the very token the run is signed in with.
ENDING_THE_TOKEN = ("/auth/logout", "/auth/password", "/auth/deactivate")
# A token is no meter's key: signed in, these doors refuse everything.
DOORS = ("/meter", "/readings")


@pytest.mark.parametrize("signed", ["signed in", "signed out"])
def test_no_made_up_request_gets_an_answer_the_schema_does_not_describe(
    server: Server, book: Database, tmp_path: Path, signed: str
) -> None:
    arguments = ["--exclude-checks", LEFT_OUT, "--seed", "1", "--max-time", str(SECONDS)]
    arguments += ["--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"]
    if signed == "signed in":
        _, token = signed_in(book, "fuzzer", role=Role.ADMIN)
        arguments += ["--header", f"Authorization: Bearer {token}"]
        for path in (*ENDING_THE_TOKEN, *DOORS):
            arguments += ["--exclude-path", path]
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", f"{server.url}/schema", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert "request failed" not in server.log.read_text(encoding="utf-8")
