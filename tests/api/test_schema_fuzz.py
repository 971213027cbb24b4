"""
Schemathesis over the whole OpenAPI schema, all checks and phases, on both engines.

Whatever it makes up, the answer is one the schema describes, and never a 500. What is well-formed
is answered as the tables below say: refused only for what no schema can say.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from callers import client_of, own_everything, signed_in
from meterbook.api.wire_doors import DEVICES_TAG
from meterbook.registry.accounts import Role
from meterbook.storage.database import Database
from meterbook.storage.tables import accounts, audit_entries, daybook
from servers import Server

TESTS = Path(__file__).parents[1]
MADE_UP = "examples,coverage,fuzzing"

# Which answers a well-formed request may get, by the operation's name (a regular expression);
# every operation is in exactly one line.
OF_ANYBODY = {
    "POST /auth/register": (201, 400),  # taken, or a weak password
    "POST /auth/login": (200, 401, 429),
}
OF_AN_ADMIN = {
    r"GET (?!/management-dashboard)[a-z/-]+": (200,),
    r"GET (?!/exports/).*\{\w+\}(/measurements)?": (200, 404),
    r"GET /exports/.*": (200, 400, 404),  # an unknown meter, user or region; an empty range
    r"GET /v1/.*": (200, 404),
    "POST /imports": (400,),  # no file
    r"GET .*\{\w+\}/(status|traits|arrays)": (200, 404),
    # Of what is not measured there; an unknown period, or a resolution too fine for it.
    r"GET .*\{\w+\}/(readings|energy)": (200, 400, 404),
    "GET /profile/.*/(consumption(/figures)?|region)": (200, 400, 404),  # an unknown period
    "GET /management-dashboard/region": (200, 400),  # likewise
    r"PATCH .*": (200, 400, 403, 404, 409),
    r"DELETE .*": (204, 400, 404, 409),
    r"POST /user/locations": (201, 400, 403),  # of another user
    r"POST /user/hosts/.*": (201, 400, 404),
    r"POST /user/device-keys": (201, 409),  # as many as there may be
    r"POST /user/devices/.*": (201, 400, 404, 409),  # claimed as something else
    r"POST /admin/[a-z-]+": (201, 400),  # taken, or of something that is not there
    r"POST /admin/.*\{.*/key": (201, 404),
    r"POST /admin/.*\{.*/counter-events": (201, 400, 404),
    r"POST /user/locations/.*\{.*": (201, 400, 404),  # a taken name
    # No device there, or none of SunSpec's.
    r"POST /admin/hosts/.*/(probe|discover)": (200, 404, 409),
    # A token is no meter's key; after sixty wrong ones in a minute the doors ask to wait.
    "POST /meter": (400, 401, 429),
    "POST /readings": (200, 400, 401, 429),
}
OF_ONESELF = {
    **OF_ANYBODY,
    "GET /auth/info": (200,),
    "POST /auth/logout": (204,),
    "POST /auth/password": (204, 400, 401, 429),
    "POST /auth/deactivate": (204, 401, 429),
}
OF_NOBODY = {
    **OF_ANYBODY,
    "POST /meter": (201, 400),  # a stamp in the future
    "POST /readings": (200, 201, 400),  # rows that are none
    "GET /(health/.*|metrics)": (200,),
    "(GET|POST|PATCH|DELETE) /(user|admin|meters|profile|management-dashboard).*": (401,),
    "(GET|POST) /(imports|exports|v1).*": (401,),
    "GET /auth/info|POST /auth/(logout|password|deactivate)": (401,),
}


class Run(msgspec.Struct, frozen=True):
    """One run of Schemathesis."""

    answers: Mapping[str, Sequence[int]]
    seconds: int
    phases: str = MADE_UP
    role: Role | None = None
    trace: sa.ColumnElement[bool] | None = None
    """True of a row that only requests of this run can have left."""


RUNS = {
    "signed out": Run(OF_NOBODY, 6, trace=daybook.c.channel_id > 0),
    "signed in": Run(OF_AN_ADMIN, 12, role=Role.ADMIN, trace=audit_entries.c.action == "change"),
    "one's own account": Run(
        OF_ONESELF, 6, role=Role.HOUSEHOLD, trace=accounts.c.deactivated_at.is_not(None)
    ),
    "one after the other": Run(OF_AN_ADMIN, 8, phases="stateful", role=Role.ADMIN),
}


@pytest.fixture(scope="module")
def things(server: Server, book: Database) -> None:
    """Make one of each thing, so that a made-up id may be the id of one."""
    owner, token = signed_in(book, "owner", role=Role.ADMIN)
    with client_of(server.url, token) as client:
        own_everything(client, owner.id, meter_id=1)


@pytest.mark.parametrize("name", RUNS)
def test_no_made_up_request_gets_an_answer_it_should_not(
    server: Server,
    book: Database,
    things: None,
    module_database_url: str,
    tmp_path: Path,
    name: str,
) -> None:
    run = RUNS[name]
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(settings_of(run), encoding="utf-8")
    arguments = ["--config-file", str(settings), "run", f"{server.url}/schema", "--seed", "1"]
    arguments += ["--max-time", str(run.seconds), "--phases", run.phases]
    # Devices' requests are other projects': tests/intake/wire/test_fuzz.py makes those up.
    arguments += ["--continue-on-failure", "--no-color", "--exclude-tag", DEVICES_TAG]
    environment = dict(os.environ)
    if run.role is not None:
        is_of_oneself = run.role is Role.HOUSEHOLD
        arguments += ["--include-tag" if is_of_oneself else "--exclude-tag", "AuthAPI"]
        paths = [TESTS, TESTS / "api", os.environ.get("PYTHONPATH", "")]
        environment |= {
            "SCHEMATHESIS_HOOKS": "fuzzing_accounts",
            "FUZZED_DATABASE": module_database_url,
            "FUZZED_ROLE": run.role,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    if run.trace is not None:
        with book.reading() as connection:
            assert connection.execute(sa.select(run.trace).where(run.trace)).first()
    assert "request failed" not in server.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RUNS)
def test_every_operation_is_in_one_line_of_the_answers(name: str) -> None:
    run = RUNS[name]
    snapshot = json.loads((TESTS / "openapi.json").read_text(encoding="utf-8"))
    for path, item in snapshot["paths"].items():
        for method, operation in item.items():
            if DEVICES_TAG in operation.get("tags", ()):
                continue
            is_of_oneself = "AuthAPI" in operation.get("tags", ())
            if run.answers is OF_NOBODY or is_of_oneself == (run.answers is OF_ONESELF):
                called = f"{method.upper()} {path}"
                lines = [line for line in run.answers if re.fullmatch(line, called)]
                assert len(lines) == 1, f"{called}: {lines}"


def settings_of(run: Run) -> str:
    """Return Schemathesis's settings: the answers, and what it cannot know."""
    # Schemathesis would find out how to register, and sign in by itself.
    lines = ["[auth]", "auto-signup = false"]
    for operation, statuses in run.answers.items():
        lines += [
            "[[operations]]",
            f"include-name-regex = '^({operation})$'",
            f"checks.positive_data_acceptance.expected-statuses = {list(statuses)}",
        ]
        if operation in {"POST /meter", "POST /readings"}:
            # A made-up key is refused, and sixty of them close the doors for a minute.
            lines.append("generation.with-security-parameters = false")
    # A deleted user is deactivated: the record stays to be seen.
    lines += ["[[operations]]", "include-path = '/admin/users/{user_id}'"]
    lines.append("checks.use_after_free.enabled = false")
    return "\n".join(lines) + "\n"
