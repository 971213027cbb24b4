"""Empty books on both engines, in temporary folders, and what their servers promised."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate
from torture.clusters import new_cluster
from torture.load import Sender
from torture.outcomes import Outcome
from torture.processes import Taken, growth
from torture.promises import kept

ENGINES = ("sqlite", "postgresql")


class Book(msgspec.Struct):
    """Where the server that is killed keeps its book, and what it promised."""

    folder: Path
    url: str
    sender: Sender
    findings: list[str] = msgspec.field(default_factory=list)

    def check(self) -> int:
        """Check every promise so far; return how many are kept."""
        database = Database(self.url)
        try:
            seen = kept(database, self.sender.promises)
        finally:
            database.close()
        self.findings += seen.findings
        return seen.found

    def outcome(
        self,
        what: str,
        *,
        cycles: int,
        is_control: bool = False,
        lived: tuple[Taken, Taken] | None = None,
    ) -> Outcome:
        """
        Check once more, and say what came of it all.

        :param lived: what a server took before and after, where one lived through it.
        """
        self.findings += growth(*lived) if lived else []
        found = self.check()
        return Outcome(
            what=what,
            cycles=cycles,
            acknowledged=len(self.sender.promises.acknowledged),
            found=found,
            findings=list(dict.fromkeys(self.findings)),
            is_control=is_control,
            memory=f"{lived[0].memory_mib} > {lived[1].memory_mib}" if lived else "",
            handles=f"{lived[0].handles} > {lived[1].handles}" if lived else "",
        )


@contextmanager
def new_book(engine: str, *, url: str = "", seed: int = 1) -> Iterator[Book]:
    """
    Give an empty book with the newest schema in a folder of its own.

    :param url: of a database to make it in; default: a file, or a cluster of its own.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-")))
        if not url:
            url = f"sqlite:///{folder / 'meterbook.sqlite'}"
            if engine == "postgresql":
                url = stack.enter_context(new_cluster()).url
        database = Database(url)
        migrate(database)
        database.close()
        yield Book(folder, url, Sender(seed=seed))
