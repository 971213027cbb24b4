"""The poll plan: what is assigned, where it is, and when it is out of date."""

from decimal import Decimal

import pytest

from meterbook.domain.host_addresses import BusAddress, Wire
from meterbook.domain.modbus_numbers import BusLimits, FunctionCode
from meterbook.registry.host_measurements import assign_measurements, unassign_measurements
from meterbook.registry.hosts import change_host, remove_host
from meterbook.registry.meter_models import change_meter_model
from meterbook.registry.modbus_registers import change_register, registers_of
from meterbook.registry.poll_plans import PollPlan, plan_version, poll_plan, whole_host
from meterbook.registry.refusals import NotThereError
from meterbook.storage.database import Database
from polled import home

NOW = 1_760_000_000


def plan_of(database: Database) -> PollPlan:
    with database.reading() as connection:
        return poll_plan(connection, period_s=60)


def test_a_plan_has_each_host_with_what_is_assigned(database: Database) -> None:
    made = home(database, models=("sdm630", "em24"), measurements=["active_power", "frequency"])
    plan = plan_of(database)
    assert set(plan.hosts) == set(made.hosts)
    sdm630, em24 = (plan.hosts[host_id] for host_id in made.hosts)
    assert [register.measurement for register in sdm630.registers] == ["active_power", "frequency"]
    assert sdm630.period_s == 60
    assert sdm630.limits == BusLimits()
    power = em24.registers[0]
    assert power.function_code is FunctionCode.INPUT
    assert power.addresses == (0x28, 0x29)
    assert power.scale == Decimal("0.1")
    assert power.amount_scale == 100  # tenths of a watt to thousandths


def test_every_change_makes_the_plan_out_of_date(database: Database) -> None:
    made = home(database, measurements=["active_power"])
    [host_id] = made.hosts
    before = plan_of(database)
    with database.writing() as connection:
        serial = {"ip": "/dev/ttyUSB0", "poll_seconds": 5}
        change_host(connection, host_id=host_id, changes=serial, by=None, now=NOW)
    with database.writing() as connection:
        assert plan_version(connection) > before.version
        model_id = connection.exec_driver_sql("SELECT meter_model_id FROM hosts").scalar_one()
        limits = {"timeout_ms": 700, "gap_ms": 30}
        change_meter_model(connection, meter_model_id=model_id, changes=limits, by=None, now=NOW)
        [register] = [
            one
            for one in registers_of(connection, meter_model_id=model_id)
            if one.measurement == "active_power"
        ]
        apart = {"word_addresses": [0x36, 0x34], "scale_address": 0x40, "scale": 0.001}
        change_register(connection, register_id=register.id, changes=apart, by=None, now=NOW)
        assign_measurements(
            connection, host_id=host_id, names=["frequency"], zone="UTC", by=None, now=NOW
        )
    host = plan_of(database).hosts[host_id]
    assert host.bus == BusAddress(Wire.SERIAL, "/dev/ttyUSB0")
    assert host.period_s == 5
    assert host.limits == BusLimits(timeout_ms=700, gap_ms=30)
    power = host.registers[0]
    assert power.addresses == (0x36, 0x34)
    assert power.span == (0x34, 0x41)
    assert power.amount_scale == 1
    assert len(host.registers) == 2


def test_what_is_not_to_be_read_is_not_in_the_plan(database: Database) -> None:
    made = home(database, models=("sdm630", "em24"), measurements=["active_power"])
    first, second = made.hosts
    with database.writing() as connection:
        remove_host(connection, host_id=first, by=None, now=NOW)
        unassign_measurements(connection, host_id=second, names=["active_power"], by=None, now=NOW)
        assert poll_plan(connection, period_s=60).hosts == {}
        assert len(whole_host(connection, host_id=second).registers) > 10
        with pytest.raises(NotThereError):
            whole_host(connection, host_id=first)
