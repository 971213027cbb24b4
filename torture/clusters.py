"""PostgreSQL clusters in temporary folders, to be stopped, killed, filled and cut off."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from services import need, program

_TIMEOUT_S = 60


class Cluster:
    """One PostgreSQL server, reached over a socket in its folder; fsync is on unless told."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        """
        Prepare; `create` makes its files.

        :param options: settings, `fsync=off`.
        """
        self.folder = folder
        self.files = folder / "cluster"
        self.options = list(options)
        self.user = "postgres" if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """The database URL that Meterbook takes."""
        return f"postgresql+psycopg://postgres@/meterbook?host={self.folder}"

    @property
    def process_id(self) -> int:
        """The process of the postmaster."""
        lines = (self.files / "postmaster.pid").read_text(encoding="ascii").splitlines()
        return int(lines[0])

    def create(self, *, more: Sequence[str] = ()) -> None:
        """Make an empty cluster; `more` goes to initdb."""
        self.run("initdb", "-D", str(self.files), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 "--locale=C.UTF-8", *more)  # fmt: skip

    def start(self, *, environment: Mapping[str, str] | None = None, wait: bool = True) -> None:
        """
        Start it.

        :param wait: for it to answer; its recovery after a crash may take a while.
        """
        settings = [f"-k {self.folder}", "-c listen_addresses=", "-c max_connections=60"]
        settings += [f"-c {option}" for option in self.options]
        self.run("pg_ctl", "-D", str(self.files), "-w" if wait else "-W",
                 "-l", str(self.folder / "log"), "-o", " ".join(settings), "start",
                 environment=environment)  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop it: smart, fast or immediate."""
        self.run("pg_ctl", "-D", str(self.files), "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """Kill the postmaster; its children end by themselves."""
        os.kill(self.process_id, signal.SIGKILL)

    def start_if_ended(self) -> None:
        """Start it if it has ended itself, as a service manager would."""
        if not self._is_running():
            (self.files / "postmaster.pid").unlink(missing_ok=True)
            self.start()

    def _is_running(self) -> bool:
        try:
            os.kill(self.process_id, 0)
        except (OSError, ValueError, IndexError):
            return False
        return True

    def make_database(self) -> None:
        """Make the empty database of the book."""
        with psycopg.connect(f"host={self.folder} user=postgres", autocommit=True) as server:
            server.execute("CREATE DATABASE meterbook")

    def run(self, tool: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
        """Run one of PostgreSQL's programs as its user; if it fails, with what it said."""
        try:
            subprocess.run(
                [str(program(tool)), *words],
                check=True,
                user=self.user,
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **(environment or {})},
                timeout=_TIMEOUT_S,
            )
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise


@contextmanager
def new_cluster(*, options: Sequence[str] = (), initdb: Sequence[str] = ()) -> Iterator[Cluster]:
    """Make and start a cluster with the book's empty database; leave nothing of it behind."""
    with cluster_folder() as folder:
        cluster = Cluster(folder, options=options)
        cluster.create(more=initdb)
        cluster.start()
        try:
            cluster.make_database()
            yield cluster
        finally:
            end(cluster)


@contextmanager
def cluster_folder() -> Iterator[Path]:
    """Give a folder that PostgreSQL's user may write, short enough for a socket's name."""
    need(program("postgres") and program("initdb"), "PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="torture-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(cluster: Cluster) -> None:
    """Stop it if it runs."""
    if (cluster.files / "postmaster.pid").exists():
        subprocess.run(
            [str(program("pg_ctl")), "-D", str(cluster.files), "-m", "immediate", "-w", "stop"],
            check=False,
            user=cluster.user,
            cwd=cluster.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
