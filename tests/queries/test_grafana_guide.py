"""The queries of the Grafana guide run on both engines and say what the books say."""

import re
from pathlib import Path

import sqlalchemy as sa

from books import record_packets
from meterbook.inputs import pool
from meterbook.inputs.deliveries import Delivery
from meterbook.intake.packet_fields import Packet
from meterbook.storage.database import Database

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "grafana.md"
FIRST = 1_767_225_600
NOW = FIRST + 86_400


def test_every_query_of_the_guide_runs_and_finds_what_is_there(database: Database) -> None:
    record_packets(database, [Packet(999_999_999, FIRST + 1860, 500)])
    with database.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO ledger (day, channel_id, energy, intervals, missing, quality,"
                " revision, closed_at) SELECT :day, id, 1500, :none, 2, 14, 1, 0 FROM channels"
            ),
            {"day": FIRST // 86_400, "none": b"\x90"},
        )
        delivery = Delivery("mqtt", {("emon/hub", "power"): {FIRST * 1000: 2_500_000}})
        pool.store(connection, [delivery], devices_max=9, now=FIRST)
    found = []
    for query in re.findall(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL):
        asked = query.replace("${__from}", str(FIRST * 1000)).replace("${__to}", str(NOW * 1000))
        with database.reading() as connection:
            found.append([tuple(row) for row in connection.execute(sa.text(asked))])
    assert found == [
        [(FIRST, 1.5, 2)],
        [(FIRST, 1.0)],
        [(FIRST, "power", 2.5)],
        [("mqtt", "emon/hub", FIRST)],
    ]
