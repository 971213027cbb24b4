"""Registering many meters at once, on both engines."""

import pytest
import sqlalchemy as sa

from meterbook.registry.meters import add_meters, installations_of, zones_of
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, meter_points


def test_each_new_meter_has_a_meter_point_and_a_channel_of_its_own(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [30, 10], zone="Asia/Kathmandu", now=5, regions={10: "North"})
        add_meters(connection, [20], zone="UTC", now=6)

        known = installations_of(connection, [10, 20, 30, 40])

        assert zones_of(connection, [10, 20, 40]) == {10: "Asia/Kathmandu", 20: "UTC"}
        rows = connection.execute(
            sa.select(channels.c.id, meter_points.c.id, meter_points.c.region, channels.c.zone)
            .join(meter_points, meter_points.c.id == channels.c.meter_point_id)
            .order_by(channels.c.id)
        )
        places = {row[0]: tuple(row[1:]) for row in rows}
    found = {number: installed[0] for number, installed in known.items()}
    assert sorted(found) == [10, 20, 30]
    assert [found[number].grid_offset_s for number in (10, 20, 30)] == [900, 0, 900]
    for number, region, zone in (
        (10, "North", "Asia/Kathmandu"), (20, None, "UTC"), (30, None, "Asia/Kathmandu"),
    ):  # fmt: skip
        assert places[found[number].channel_id] == (found[number].meter_point_id, region, zone)
    assert len({place[0] for place in places.values()}) == 3


def test_a_meter_is_registered_only_once(database: Database) -> None:
    with database.writing() as connection:
        add_meters(connection, [1], zone="UTC", now=5)

    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        add_meters(connection, [1], zone="UTC", now=6)

    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(meter_points)) == 1
