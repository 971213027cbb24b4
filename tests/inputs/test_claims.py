"""Claiming: what an input sent since it was first seen is in the books, once."""

from collections.abc import Iterable
from functools import partial

import pytest
import sqlalchemy as sa

from callers import signed_in
from meterbook.domain.input_mappings import MILLIONTHS, Mapping
from meterbook.domain.readings import Quality
from meterbook.inputs import pool
from meterbook.inputs.claims import InputClaim, claim_input, give_back_input
from meterbook.inputs.deliveries import Delivery, KeyUnknown, PoolFull, Taken, millionths
from meterbook.inputs.owned_devices import change_device, devices_seen
from meterbook.inputs.recording import record_input, record_inputs
from meterbook.jobs.upkeep import forget_old_samples
from meterbook.registry.meters import installations_of
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.storage.database import Database
from meterbook.storage.device_tables import device_inputs, input_samples
from meterbook.storage.tables import channels, daybook, meter_points, superseded_readings

DAY = 1_767_225_600  # 2026-01-01T00:00Z
NOW = DAY + 86_400
DEVICES_MAX = 5


def send(
    database: Database,
    samples: Iterable[tuple[int, float]],
    *,
    name: str = "total",
    device: str = "shelly",
    is_again: bool = False,
) -> object:
    """Let the device send (seconds, number) and return what became of it."""
    kept = {at * 1000: millionths(number) or 0 for at, number in samples}
    with database.writing() as connection:
        delivery = Delivery("mqtt", {(device, name): kept}, is_again=is_again)
        return pool.store(connection, [delivery], devices_max=DEVICES_MAX, now=NOW)[0]


def claim(
    database: Database, what: InputClaim, *, name: str = "total", steps_max: int | None = None
) -> int:
    """Give the device to an account once, claim the input, and return the input's id."""
    with database.writing() as connection:
        (device,) = devices_seen(connection)
        input_id = next(found.id for found in device.inputs if found.name == name)
        claim_input(
            connection,
            device_id=device.id,
            input_id=input_id,
            account_id=device.user,
            claim=what,
            default_zone="UTC",
            by=device.user,
            now=NOW,
        )
    record_input(database, input_id=input_id, now=NOW, steps_max=steps_max)
    return input_id


def give_to_somebody(database: Database) -> int:
    account, _ = signed_in(database, "owner")
    with database.writing() as connection:
        (device,) = devices_seen(connection)
        change_device(
            connection,
            device_id=device.id,
            account_id=None,
            changes={"user": account.id},
            by=None,
            now=NOW,
        )
    return account.id


def readings(database: Database) -> list[tuple[int, int, int]]:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(daybook.c.starts_at, daybook.c.amount, daybook.c.quality).order_by(
                daybook.c.channel_id, daybook.c.starts_at
            )
        )
        return [(row[0] - DAY, row[1], row[2]) for row in rows]


def replaced(database: Database) -> int:
    with database.reading() as connection:
        return int(
            connection.execute(
                sa.select(sa.func.count()).select_from(superseded_readings)
            ).scalar_one()
        )


COUNTER = [(DAY + 600 * i, 1000 + 0.1 * i) for i in range(13)]  # every ten minutes


def test_a_counter_is_in_the_books_from_its_first_sample_once(database: Database) -> None:
    send(database, COUNTER)
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh", meter_id=77))
    expected = [(1800 * i, 300, int(Quality.RAW)) for i in range(4)]
    assert readings(database) == expected
    # Claimed again, sent again, recorded again: the same.
    claim(database, InputClaim(Mapping.COUNTER, "kWh", meter_id=77))
    send(database, COUNTER)
    assert record_inputs(database, now=NOW) == 0
    assert readings(database) == expected
    assert replaced(database) == 0
    with database.reading() as connection:
        assert installations_of(connection, [77])[77]


def test_what_arrives_after_the_claim_follows(database: Database) -> None:
    send(database, COUNTER[:5])
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh"))
    assert len(readings(database)) == 1
    for sample in COUNTER[5:]:
        send(database, [sample])
        record_inputs(database, now=NOW)
    assert [energy for _, energy, _ in readings(database)] == [300] * 4
    assert replaced(database) == 0


def test_the_order_of_arrival_does_not_matter(database: Database) -> None:
    send(database, COUNTER[::2])
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh"))
    send(database, [COUNTER[7], COUNTER[1]])
    record_inputs(database, now=NOW)
    send(database, reversed(COUNTER))
    record_inputs(database, now=NOW)
    assert [energy for _, energy, _ in readings(database)] == [300] * 4


def test_many_samples_are_recorded_in_steps_to_the_same_sum(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meterbook.inputs.recording.SAMPLES_AT_ONCE", 7)
    samples = [(DAY + 60 * i, i * 7) for i in range(1411)]
    send(database, samples)
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "Wh"))
    assert readings(database) == [(1800 * i, 210, int(Quality.RAW)) for i in range(47)]
    assert replaced(database) == 0


def test_a_claim_may_record_some_and_leave_the_rest_to_the_job(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meterbook.inputs.recording.SAMPLES_AT_ONCE", 100)
    send(sqlite_database, [(DAY + 60 * i, i * 7) for i in range(1000)])
    give_to_somebody(sqlite_database)
    input_id = claim(sqlite_database, InputClaim(Mapping.COUNTER, "Wh"), steps_max=3)
    assert 0 < len(readings(sqlite_database)) < 33
    with sqlite_database.reading() as connection:
        (device,) = devices_seen(connection)
    assert [found.is_recorded for found in device.inputs] == [False]
    record_input(sqlite_database, input_id=input_id, now=NOW)
    assert [energy for _, energy, _ in readings(sqlite_database)] == [210] * 33


def test_a_long_silence_is_estimated_and_says_so(database: Database) -> None:
    send(database, [(DAY, 0), (DAY + 7200, 4), (DAY + 7500, 4)])
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh"))
    estimated = int(Quality.ESTIMATED_INTERPOLATED)
    assert readings(database) == [(1800 * i, 1000, estimated) for i in range(4)]


@pytest.mark.parametrize(("resets", "across"), [(False, None), (True, 250)])
def test_a_counter_that_falls_is_missing_there_unless_it_begins_at_zero(
    database: Database, resets: bool, across: int | None
) -> None:
    before = [(DAY + 300 * i, 5 + 0.05 * i) for i in range(7)]
    after = [(DAY + 300 * i, 0.05 * (i - 7)) for i in range(7, 20)]
    send(database, [*before, *after])
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh", resets_to_zero=resets))
    energies = {starts_at: energy for starts_at, energy, _ in readings(database)}
    assert energies.get(1800) == across
    assert {energies[0], energies[3600]} == {300}


def test_a_sample_of_a_clock_that_was_never_set_is_in_no_book(database: Database) -> None:
    send(database, [(7, 1000), *COUNTER])
    send(database, [(7, 229), (DAY, 230)], name="voltage")
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh"))
    expected = [(1800 * i, 300, int(Quality.RAW)) for i in range(4)]
    assert readings(database) == expected
    claim(database, InputClaim(Mapping.MOMENTARY, "V"), name="voltage")
    assert readings(database) == [*expected, (0, 230_000, int(Quality.RAW))]
    send(database, [(8, 1000)])
    assert record_inputs(database, now=NOW) == 1
    assert record_inputs(database, now=NOW) == 0
    assert len(readings(database)) == 5


def test_a_counter_that_shows_nothing_once_has_not_counted_its_whole_life_again(
    database: Database,
) -> None:
    samples = [(DAY + 300 * i, 5000 + 0.05 * i) for i in range(37)]
    samples[20] = (samples[20][0], 0.0)
    send(database, samples)
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh"))
    assert [energy for _, energy, _ in readings(database)] == [300] * 6


def test_what_is_just_arriving_is_counted_a_minute_later(database: Database) -> None:
    send(database, [(NOW - 7200 + 300 * i, 0.05 * i) for i in range(25)])
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "kWh"))
    assert len(readings(database)) == 3
    assert record_inputs(database, now=NOW + 59) == 1
    assert record_inputs(database, now=NOW + 60) == 1
    assert record_inputs(database, now=NOW + 60) == 0
    assert [energy for _, energy, _ in readings(database)] == [300] * 4


def test_a_momentary_input_is_kept_as_means_of_five_ended_minutes(database: Database) -> None:
    send(database, [(DAY, 230), (DAY + 100, 231), (DAY + 310, 232)], name="voltage")
    send(database, [(NOW + 10, 229)], name="voltage")
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.MOMENTARY, "V"), name="voltage")
    raw = int(Quality.RAW)
    assert readings(database) == [(0, 230_500, raw), (300, 232_000, raw)]
    # The last five minutes have not ended: they follow.
    assert record_inputs(database, now=NOW) == 1
    assert record_inputs(database, now=NOW + 300) == 1
    assert record_inputs(database, now=NOW + 300) == 0
    assert readings(database)[-1] == (86_400, 229_000, raw)


def test_kilowatts_are_kept_in_watts(database: Database) -> None:
    send(database, [(DAY, 1.5)], name="power")
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.MOMENTARY, "kW", measurement="power"), name="power")
    assert readings(database) == [(0, 1_500_000, int(Quality.RAW))]


def test_intervals_shorter_than_half_an_hour_count_when_all_are_there(database: Database) -> None:
    quarters = [(DAY + 900 * i + 5, 0.25) for i in range(1, 6) if i != 3]
    send(database, quarters)
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.INTERVAL, "kWh", length_s=900))
    assert readings(database) == [(0, 500, int(Quality.RAW))]
    send(database, [(DAY + 2700, 0.5)])
    record_inputs(database, now=NOW)
    assert readings(database)[1] == (1800, 750, int(Quality.RAW))


def test_watt_minutes_are_a_sixtieth(database: Database) -> None:
    send(database, [(DAY + 300 * i, 1000 * i) for i in range(7)])
    give_to_somebody(database)
    claim(database, InputClaim(Mapping.COUNTER, "Wmin"))
    assert readings(database) == [(0, 100, int(Quality.RAW))]


@pytest.mark.parametrize(
    ("what", "field"),
    [
        (InputClaim(), "mapping"),
        (InputClaim(Mapping.COUNTER), "unit"),
        (InputClaim(Mapping.COUNTER, "V"), "unit"),
        (InputClaim(Mapping.MOMENTARY), "unit"),
        (InputClaim(Mapping.COUNTER, factor="0"), "factor"),
        (InputClaim(Mapping.COUNTER, factor="1/0"), "factor"),
        (InputClaim(Mapping.COUNTER, factor="many"), "factor"),
        (InputClaim(Mapping.INTERVAL, "kWh", length_s=700), "length_s"),
    ],
)
def test_a_claim_that_does_not_say_enough_names_the_field(
    sqlite_database: Database, what: InputClaim, field: str
) -> None:
    send(sqlite_database, COUNTER)
    give_to_somebody(sqlite_database)
    with pytest.raises(WrongFieldError) as refused:
        claim(sqlite_database, what)
    assert refused.value.field == field


def test_a_claim_is_ended_before_another_is_made(sqlite_database: Database) -> None:
    send(sqlite_database, COUNTER)
    with pytest.raises(InUseError):
        claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"))
    account_id = give_to_somebody(sqlite_database)
    input_id = claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"))
    with pytest.raises(InUseError):
        claim(sqlite_database, InputClaim(Mapping.COUNTER, "Wh"))
    send(sqlite_database, COUNTER, name="other")
    with pytest.raises(WrongFieldError):
        claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"), name="other")
    for owner in (account_id + 1, account_id):
        with sqlite_database.writing() as connection:
            give_back = partial(
                give_back_input, connection, device_id=1, input_id=input_id, by=None, now=NOW
            )
            if owner == account_id:
                give_back(account_id=owner)
            else:
                with pytest.raises(NotThereError):
                    give_back(account_id=owner)
    before = readings(sqlite_database)
    claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"), name="other")
    assert readings(sqlite_database) == before


def test_a_device_given_to_another_user_fills_none_of_the_first_ones_meter_points(
    sqlite_database: Database,
) -> None:
    send(sqlite_database, COUNTER)
    first = give_to_somebody(sqlite_database)
    input_id = claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"))
    second, _ = signed_in(sqlite_database, "second")
    with sqlite_database.writing() as connection:
        give_back_input(
            connection, device_id=1, input_id=input_id, account_id=first, by=first, now=NOW
        )
        change_device(
            connection, device_id=1, account_id=None, changes={"user": second.id}, by=None, now=NOW
        )
    claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"))
    with sqlite_database.reading() as connection:
        owner = connection.execute(
            sa.select(meter_points.c.account_id)
            .join(channels, channels.c.meter_point_id == meter_points.c.id)
            .join(device_inputs, device_inputs.c.channel_id == channels.c.id)
        ).scalar_one()
    assert owner == second.id


@pytest.mark.parametrize(
    "what",
    [
        InputClaim(Mapping.MOMENTARY, "V", factor="1000000000", measurement="odd"),
        InputClaim(Mapping.COUNTER, factor="1000000000"),
        InputClaim(Mapping.INTERVAL, "GWh"),
    ],
    ids=["momentary", "counter", "interval"],
)
def test_a_number_that_no_book_can_hold_is_missing_and_holds_up_no_other(
    database: Database, what: InputClaim
) -> None:
    send(database, [(at, 9e12 - at) for at, _ in COUNTER], name="odd")
    send(database, COUNTER[:5])
    give_to_somebody(database)
    claim(database, what, name="odd")
    assert readings(database) == []
    claim(database, InputClaim(Mapping.COUNTER, "kWh", measurement="total"))
    send(database, [(at + 7200, 9e12 - at) for at, _ in COUNTER], name="odd")
    send(database, COUNTER)
    assert record_inputs(database, now=NOW) == 2
    assert [energy for _, energy, _ in readings(database)] == [300] * 4


def test_an_input_whose_recording_breaks_holds_up_no_other(sqlite_database: Database) -> None:
    send(sqlite_database, COUNTER[:5], name="broken")
    send(sqlite_database, COUNTER[:5])
    give_to_somebody(sqlite_database)
    claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh", measurement="b"), name="broken")
    claim(sqlite_database, InputClaim(Mapping.COUNTER, "kWh"))
    with sqlite_database.writing() as connection:
        broken = sa.update(device_inputs).where(device_inputs.c.name == "broken")
        connection.execute(broken.values(factor="no number"))
    send(sqlite_database, COUNTER, name="broken")
    send(sqlite_database, COUNTER)
    with pytest.raises(ValueError, match="must be a number"):
        record_inputs(sqlite_database, now=NOW)
    assert [energy for _, energy, _ in readings(sqlite_database)] == [300] * 5


def test_a_sender_has_a_bounded_number_of_devices_and_is_refused_whole(
    database: Database,
) -> None:
    for i in range(DEVICES_MAX):
        assert isinstance(send(database, COUNTER, device=f"d{i}"), Taken)
    with database.writing() as connection:
        too_many = Delivery("mqtt", {("d0", "new"): {1: 1}, ("one more", "n"): {1: 1}})
        fine = Delivery("mqtt", {("d1", "total"): {1: 1}})
        unknown = Delivery("mqtt", {("d1", "total"): {2: 1}}, "no hash")
        outcomes = pool.store(
            connection, [too_many, fine, unknown], devices_max=DEVICES_MAX, now=NOW
        )
    assert isinstance(outcomes[0], PoolFull)
    assert isinstance(outcomes[1], Taken)
    assert isinstance(outcomes[2], KeyUnknown)
    with database.reading() as connection:
        found = devices_seen(connection)
        assert [device.foreign_id for device in found] == [f"d{i}" for i in range(DEVICES_MAX)]
        assert [name.name for name in found[0].inputs] == ["total"]


def test_a_redelivered_message_without_time_is_no_new_sample(database: Database) -> None:
    send(database, [(DAY, 5)])
    send(database, [(DAY + 7, 5)], is_again=True)
    send(database, [(DAY + 9, 6)], is_again=True)
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(input_samples.c.at_ms, input_samples.c.amount).order_by(input_samples.c.at_ms)
        ).all()
    assert [(row[0] // 1000 - DAY, row[1] // MILLIONTHS) for row in rows] == [(0, 5), (9, 6)]


def test_old_samples_are_forgotten_but_none_that_is_not_in_the_books(database: Database) -> None:
    send(database, COUNTER)
    send(database, COUNTER, name="waiting")
    with database.writing() as connection:
        connection.execute(
            sa.update(device_inputs)
            .where(device_inputs.c.name == "waiting")
            .values(record_from_ms=COUNTER[4][0] * 1000)
        )
    forget_old_samples(database, now=DAY + 86_400 * 30, days_kept=10)
    with database.reading() as connection:
        left = connection.execute(
            sa.select(sa.func.count(), sa.func.min(input_samples.c.at_ms))
        ).one()
    assert tuple(left) == (len(COUNTER) - 4, COUNTER[4][0] * 1000)
