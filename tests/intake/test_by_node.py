"""A node of a cluster is away: the living ones' packets are stored, the others asked for again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from callers import client_of
from meterbook.domain.local_days import utc_text
from meterbook.intake.by_node import AWAY_S, RecorderByNode
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import (
    Arrival,
    CannotStoreError,
    KeyRefused,
    NodeAwayError,
    PacketRecorder,
    Stored,
)
from meterbook.registry.meters import add_meters
from meterbook.storage.database import Database
from meterbook.storage.distribution import distribute
from meterbook.storage.tables import daybook
from pretended_citus import pretend_citus
from servers import running_server

START = 1_760_000_400
METERS = range(1, 9)
# What passes for a coordinator has no nodes: this stands for one that does not answer.
_AWAY = """
CREATE FUNCTION node_is_away() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT groupid FROM pg_dist_placement
        WHERE shardid = get_shard_id_for_distribution_column('daybook', NEW.channel_id)) = 2
    THEN
        PERFORM nextval('tried');  -- counts on though the transaction fails
        RAISE EXCEPTION 'connection to the remote node failed' USING ERRCODE = '08006';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER away BEFORE INSERT ON daybook FOR EACH ROW EXECUTE FUNCTION node_is_away();
"""


class Cluster:
    """A database that passes for a coordinator, whose second node can be taken away."""

    def __init__(self, url: str) -> None:
        pretend_citus(url)
        self.url = url
        before = Database(url)
        distribute(before)
        before.close()
        self.database = Database(url)
        self.run("CREATE SEQUENCE tried")
        with self.database.writing() as connection:
            add_meters(connection, METERS, zone="UTC", now=0)

    def run(self, statement: str) -> list[tuple[int, ...]]:
        """Run a statement beside everything else."""
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as server:
            found = server.execute(statement.encode())
            return found.fetchall() if found.description else []

    def take_away(self) -> None:
        """Let the second node be away."""
        self.run(_AWAY)

    def bring_back(self) -> None:
        """Let it be there again."""
        self.run("DROP TRIGGER away ON daybook")

    @property
    def tries(self) -> int:
        """How often the node was asked while it was away."""
        return self.run("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tried")[0][0]

    @property
    def stored(self) -> set[int]:
        """The channels that have a reading; channel n is meter n's."""
        with self.database.reading() as connection:
            return set(connection.scalars(sa.select(daybook.c.channel_id)))

    @property
    def living(self) -> set[int]:
        """The channels on the first node."""
        rows = self.run(
            "SELECT id FROM channels JOIN pg_dist_placement ON "
            "shardid = get_shard_id_for_distribution_column('daybook', id) WHERE groupid = 1"
        )
        return {row[0] for row in rows}


@pytest.fixture
def cluster(plain_postgres_url: str) -> Iterator[Cluster]:
    """Give such a cluster with eight meters."""
    made = Cluster(plain_postgres_url)
    assert 0 < len(made.living) < len(METERS)
    yield made
    made.database.close()


def arrivals(*meters: int, key_hash: str | None = None) -> list[Arrival]:
    return [Arrival(Packet(meter, START + 1860, 100 + meter), key_hash) for meter in meters]


def recorder(database: Database, clock: Callable[[], float]) -> RecorderByNode:
    return RecorderByNode(PacketRecorder(database, default_zone="UTC"), database, clock=clock)


def test_packets_of_the_living_node_are_stored_and_the_others_asked_for_again(
    cluster: Cluster,
) -> None:
    seconds = [100.0]
    by_node = recorder(cluster.database, lambda: seconds[0])
    cluster.take_away()

    outcomes = by_node.record(arrivals(*METERS))

    stored = {m for m, o in zip(METERS, outcomes, strict=True) if isinstance(o, Stored)}
    assert stored == cluster.living == cluster.stored
    others = [o for o in outcomes if not isinstance(o, Stored)]
    assert all(isinstance(outcome, CannotStoreError) for outcome in others)

    tried = cluster.tries
    by_node.record(arrivals(*METERS))
    assert cluster.tries == tried  # who is away is not asked again at once
    seconds[0] += AWAY_S
    by_node.record(arrivals(*METERS))
    assert cluster.tries > tried

    cluster.bring_back()
    seconds[0] += AWAY_S
    for _ in range(2):  # node by node, then as one batch again
        assert all(isinstance(o, Stored) for o in by_node.record(arrivals(*METERS)))
    assert cluster.stored == set(METERS)


def test_while_a_node_is_away_wrong_keys_are_refused_and_unknown_meters_asked_for_again(
    cluster: Cluster,
) -> None:
    by_node = recorder(cluster.database, lambda: 100.0)
    cluster.take_away()
    living, gone = min(cluster.living), min(set(METERS) - cluster.living)
    sent = [*arrivals(living, gone, 4711), *arrivals(living, key_hash="of nobody")]

    first, second, third, fourth = by_node.record(sent)

    assert isinstance(first, Stored)
    assert isinstance(second, NodeAwayError)
    assert isinstance(third, Stored | CannotStoreError)  # as the cluster can make it known
    assert isinstance(fourth, KeyRefused)


def test_on_one_database_a_batch_is_refused_whole(plain_postgres_url: str) -> None:
    database = Database(plain_postgres_url)
    with database.writing() as connection:
        add_meters(connection, METERS, zone="UTC", now=0)
        connection.exec_driver_sql(
            "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '08006'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER away BEFORE INSERT ON daybook FOR EACH ROW EXECUTE FUNCTION away()"
        )
    with pytest.raises(NodeAwayError):
        recorder(database, lambda: 0.0).record(arrivals(*METERS))
    database.close()


def test_over_http_each_packet_has_its_own_answer(cluster: Cluster, tmp_path: Path) -> None:
    cluster.take_away()
    with (
        running_server(tmp_path, database_url=cluster.url) as server,
        client_of(server.url) as meter,
    ):
        answered = {
            number: meter.post(
                "/meter",
                json={"id": number, "timestamp": utc_text(START + 1860), "reading_kWh": 1},
            )
            for number in METERS
        }
    assert {number for number, a in answered.items() if a.status_code == 201} == cluster.living
    others = [answer for answer in answered.values() if answer.status_code != 201]
    assert {answer.status_code for answer in others} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in others)
    assert cluster.stored == cluster.living
