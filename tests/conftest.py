"""
What tests share: both database engines with the newest schema, and the real readings.

The schema is built by running the migrations once per engine and worker; each test gets a copy.
With METERBOOK_TEST_CITUS set, what runs on PostgreSQL runs distributed on that cluster instead, or
with `pretended` on a PostgreSQL that passes for a coordinator.
"""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from clusters import PRETENDED, Cluster, citus_url
from meterbook.storage.database import Database
from meterbook.storage.dialects import is_distributed
from meterbook.storage.distribution import DISTRIBUTED, distribute
from meterbook.storage.migrate import migrate
from pretended_citus import pretend_citus
from services import need, program
from statements import Statement, faults

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"
MEMORY = Path("/dev/shm")  # noqa: S108 folders of our own are made in it
MEMORY_BYTES_MIN = 4 << 30  # for the databases of every worker
_TEMPLATE = "meterbook_template"
_DISTRIBUTED_TEMPLATE = "meterbook_distributed_template"
# Schemathesis loads it, with settings of its own in the environment.
collect_ignore = ["api/fuzzing_accounts.py"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real readings, telegrams and register tables."""
    need(SHARED_DATA.is_dir(), "../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated, empty SQLite file to copy."""
    file = tmp_path_factory.mktemp("template") / "template.sqlite"
    database = Database(f"sqlite:///{file}")
    migrate(database)
    with database.beside_writer() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Give the socket folder of a PostgreSQL server in a temporary folder, fsync on."""
    need(program("postgres") and program("initdb"), "PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="meterbook-pg-", dir=_memory_folder()))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    cluster = folder / "cluster"
    initdb = [str(program("initdb")), "-D", str(cluster), "-U", "postgres", "-A", "trust"]
    subprocess.run(
        [*initdb, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
        check=True, user=user, stdout=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    options = f"-k {folder} -c listen_addresses= -c max_connections=200"
    control = [str(program("pg_ctl")), "-D", str(cluster), "-w", "-l", str(folder / "log")]
    subprocess.run(
        [*control, "-o", options, "start"],
        check=True, user=user, stdout=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        yield str(folder)
    finally:
        subprocess.run(
            [*control, "-m", "immediate", "stop"],
            check=False, user=user, stdout=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Give the socket folder of a server that has the migrated, empty template database."""
    _create_database(postgres_server, _TEMPLATE, template="template1")
    database = Database(_postgres_url(postgres_server, _TEMPLATE))
    migrate(database)
    database.close()
    return postgres_server


@pytest.fixture(scope="session")
def distributed_template(postgres_template: str) -> str:
    """Give the socket folder of a server whose second template passes for a coordinator."""
    _create_database(postgres_template, _DISTRIBUTED_TEMPLATE, template=_TEMPLATE)
    url = _postgres_url(postgres_template, _DISTRIBUTED_TEMPLATE)
    pretend_citus(url)
    database = Database(url)
    distribute(database)
    database.close()
    return postgres_template


@pytest.fixture(scope="session")
def citus_cluster() -> Iterator[Cluster]:
    """Give the cluster that METERBOOK_TEST_CITUS names."""
    url = citus_url()
    if url is None:
        pytest.skip("METERBOOK_TEST_CITUS names no Citus coordinator")
    cluster = Cluster(url)
    yield cluster
    cluster.close()


if os.environ.get("METERBOOK_TEST_CITUS") == PRETENDED:

    @pytest.fixture(autouse=True)
    def _only_what_citus_does_well() -> Iterator[None]:
        """Read every statement of the test that would go to a coordinator."""
        found: dict[str, list[str]] = {}

        def note(connection: sa.Connection, _cursor: Any, text: str, *_others: Any) -> None:
            if is_distributed(connection) and any(name in text for name in DISTRIBUTED):
                found[text] = faults(Statement(text, None))

        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        yield
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
        assert {text: wrong for text, wrong in found.items() if wrong} == {}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Give the URL of an empty database that a module's tests share, on both engines."""
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("module") / "meterbook.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
    else:
        with _empty_postgres(request) as url:
            yield url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of an empty SQLite database of the test's own."""
    file = tmp_path / "meterbook.sqlite"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database of the test's own."""
    with _empty_postgres(request) as url:
        yield url


@pytest.fixture
def plain_postgres_url(postgres_template: str) -> Iterator[str]:
    """Give the same, of one machine also where the others are on a cluster."""
    with _postgres_copy(postgres_template) as url:
        yield url


@pytest.fixture
def distributed_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of an empty distributed database, pretended where there is no cluster."""
    with _empty_distributed(request) as url:
        yield url


@pytest.fixture
def distributed_database(distributed_url: str) -> Iterator[Database]:
    """Give an empty distributed database, pretended where there is no cluster."""
    opened = Database(distributed_url)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def plain_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Give an empty database of one machine, for what is about the schema itself."""
    name = "sqlite_url" if request.param == "sqlite" else "plain_postgres_url"
    opened = Database(str(request.getfixturevalue(name)))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database: the test runs on both engines."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Give an empty database with the newest schema: the test runs on both engines."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """Give an empty SQLite database, for what does not depend on the engine."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@contextmanager
def _empty_postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    if os.environ.get("METERBOOK_TEST_CITUS"):
        with _empty_distributed(request) as url:
            yield url
    else:
        with _postgres_copy(request.getfixturevalue("postgres_template")) as url:
            yield url


@contextmanager
def _empty_distributed(request: pytest.FixtureRequest) -> Iterator[str]:
    if os.environ.get("METERBOOK_TEST_CITUS", PRETENDED) == PRETENDED:
        folder = request.getfixturevalue("distributed_template")
        with _postgres_copy(folder, template=_DISTRIBUTED_TEMPLATE) as url:
            yield url
    else:
        with request.getfixturevalue("citus_cluster").database() as url:
            yield url


@contextmanager
def _postgres_copy(folder: str, *, template: str = _TEMPLATE) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _create_database(folder, name, template=template)
    yield _postgres_url(folder, name)
    with psycopg.connect(f"host={folder} user=postgres", autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def second_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """Give another empty SQLite database, to compare with."""
    file = tmp_path / "second.sqlite"
    shutil.copyfile(sqlite_template, file)
    opened = Database(f"sqlite:///{file}")
    yield opened
    opened.close()


def _memory_folder() -> Path | None:
    """Return where files are in memory, if there is room: making a database takes half as long."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN:
        return MEMORY
    return None


def _postgres_url(folder: str, name: str) -> str:
    return f"postgresql+psycopg://postgres@/{name}?host={folder}"


def _create_database(folder: str, name: str, *, template: str) -> None:
    with psycopg.connect(f"host={folder} user=postgres", autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
