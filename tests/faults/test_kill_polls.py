"""Recording polls killed at any commit, and polls delivered again, lead to the same book."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from meterbook.domain.readings import Counting
from meterbook.intake.host_recorder import HostRecorder, PollOutcome
from meterbook.storage.database import Database
from meterbook.storage.tables import channel_states, daybook
from polled import IMPORTED, POLLS_A_BATCH, eventful_polls, home, open_rows

CHILD = Path(__file__).with_name("recording_child.py")
Content = list[list[tuple[object, ...]]]


def content(database: Database) -> Content:
    kept = daybook.c.starts_at, daybook.c.channel_id, daybook.c.amount, daybook.c.quality
    with database.reading() as connection:
        return [
            [tuple(row) for row in connection.execute(sa.select(*kept).order_by(*kept[:2]))],
            [
                tuple(row)
                for row in connection.execute(
                    sa.select(channel_states).order_by(channel_states.c.channel_id)
                )
            ],
        ]


@pytest.fixture(scope="module")
def undisturbed(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Give the book of a recording that nobody killed."""
    file = tmp_path_factory.mktemp("undisturbed") / "meterbook.sqlite"
    file.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{file}")
    [host_id] = home(database).hosts
    HostRecorder(database).record(eventful_polls(host_id))
    energy = open_rows(database, host_id, IMPORTED, Counting.INTERVAL)
    # Of 23 intervals the one in which the counter was reset is missing.
    assert [amount for amount, _ in energy.values()] == [125] * 22
    book = content(database)
    database.close()
    return book


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("batch", [1, 6, 22])
def test_polls_killed_at_a_commit_are_neither_lost_nor_counted_twice(
    database: Database, database_url: str, undisturbed: Content, batch: int, moment: str
) -> None:
    [host_id] = home(database).hosts
    folders = [CHILD.parents[1], os.environ.get("PYTHONPATH", "")]
    killed = subprocess.run(
        [sys.executable, str(CHILD), database_url, str(host_id), str(batch), moment],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
    )
    assert killed.returncode == -signal.SIGKILL

    outcomes = HostRecorder(database).record(eventful_polls(host_id))

    stored = POLLS_A_BATCH * (batch - (moment == "before"))
    assert outcomes == [PollOutcome.REPEATED] * stored + [PollOutcome.RECORDED] * (
        len(outcomes) - stored
    )
    assert content(database) == undisturbed
