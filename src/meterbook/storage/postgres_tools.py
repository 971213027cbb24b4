"""PostgreSQL's own pg_dump and pg_restore: nothing we would write knows its types as well."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

_FOLDERS = tuple(f"/usr/lib/postgresql/{version}/bin" for version in range(18, 14, -1))


class PostgresToolError(RuntimeError):
    """A program of PostgreSQL is missing or failed; never carries the password."""


def dump(url: sa.URL, copy: Path, *, snapshot: str) -> None:
    """
    Copy what that exported snapshot sees; synced to disk at the end.

    :raises PostgresToolError: if pg_dump is missing or fails.
    """
    _run(url, "pg_dump", ["--format=custom", f"--snapshot={snapshot}", f"--file={copy}"])


def load(url: sa.URL, copy: Path) -> None:
    """
    Put a copy into an empty database, whole or not at all.

    :raises PostgresToolError: if pg_restore is missing or fails.
    """
    _run(url, "pg_restore", ["--single-transaction", "--exit-on-error", "--no-owner", str(copy)])


def _run(url: sa.URL, tool: str, options: Sequence[str]) -> None:
    found = shutil.which(tool, path=os.pathsep.join([os.environ["PATH"], *_FOLDERS]))
    if found is None:
        raise PostgresToolError(
            f"{tool} is not installed; it comes with PostgreSQL's client programs"
        )
    # As we connect ourselves; but the password in the environment, where others do not see it.
    _, named = url.get_dialect()().create_connect_args(url)
    password = named.pop("password", None)
    secret = {"PGPASSWORD": str(password)} if password else {}
    done = subprocess.run(  # noqa: S603 our own words and the operator's own folder
        [found, f"--dbname={make_conninfo('', **named)}", *options],
        env=os.environ | secret,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise PostgresToolError(f"{tool} failed: {said[0]}")
