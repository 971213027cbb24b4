"""The catalogue: what comes with Meterbook, and what an admin made of it."""

from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from meterbook.domain.modbus_numbers import FunctionCode, NumberType, WordOrder
from meterbook.intake.modbus.catalogue import DEVICES, DeviceFileError, catalogued_models
from meterbook.registry.catalogue import CatalogueModel, load_catalogue
from meterbook.registry.meter_models import all_meter_models, change_meter_model
from meterbook.registry.modbus_registers import change_register, registers_of, remove_register
from meterbook.storage.database import Database
from meterbook.storage.tables import catalogue_loads, meter_models

NOW = 1_760_000_000
MODELS = {model.name: model for model in catalogued_models()}


def test_the_models_people_have_are_there() -> None:
    wanted = {"sdm630", "sdm120", "sdm230", "dtsu666", "em24", "iem3000", "abb_b_series"}
    inverters = {"sunspec", "sunspec_inverter", "huawei_sun2000", "sungrow_hybrid", "deye_hybrid"}
    assert wanted | inverters <= set(MODELS)


@pytest.mark.parametrize(
    ("model", "measurement", "address", "function", "number", "order", "scale"),
    [
        ("sdm630", "active_power", 0x0034, 4, NumberType.FLOAT32, "high_first", 1.0),
        ("sdm630", "active_energy_consumed", 0x0048, 4, NumberType.FLOAT32, "high_first", 1.0),
        ("sdm630", "active_energy_produced", 0x004A, 4, NumberType.FLOAT32, "high_first", 1.0),
        ("sdm120", "active_power", 0x000C, 4, NumberType.FLOAT32, "high_first", 1.0),
        ("dtsu666", "voltage_ac_l1", 0x2000, 3, NumberType.FLOAT32, "high_first", 0.1),
        ("em24", "active_power", 0x0028, 4, NumberType.INT32, "low_first", 0.1),
        ("iem3000", "active_power", 0x5012, 3, NumberType.FLOAT32, "high_first", 1000.0),
        ("abb_b_series", "active_power", 0x5B14, 3, NumberType.INT32, "high_first", 0.01),
        ("sunspec_inverter", "active_power", 40091, 3, NumberType.FLOAT32, "high_first", 1.0),
    ],
)
def test_a_register_is_where_the_maker_put_it(
    model: str,
    measurement: str,
    address: int,
    function: int,
    number: NumberType,
    order: str,
    scale: float,
) -> None:
    [register] = [r for r in MODELS[model].registers if r.measurement == measurement]
    assert register.address == address
    assert register.function_code is FunctionCode(function)
    assert register.number_type is number
    assert register.word_order is WordOrder(order)
    assert register.scale == scale


def test_a_counter_whose_words_lie_apart_names_them() -> None:
    [bought] = [
        register
        for register in MODELS["deye_hybrid"].registers
        if register.measurement == "meter_active_energy_consumed"
    ]
    assert bought.word_addresses == [80, 78]
    assert MODELS["huawei_sun2000"].limits["connect_delay_ms"] == 1000


def test_a_limit_that_is_none_is_named(tmp_path: Path) -> None:
    content = (DEVICES / "sdm120.toml").read_text(encoding="utf-8")
    (tmp_path / "odd.toml").write_text(content + "[limits]\nspeed = 1\n", encoding="utf-8")
    with pytest.raises(DeviceFileError, match="no limit speed"):
        catalogued_models(tmp_path)


def test_every_device_file_names_its_source() -> None:
    for file in DEVICES.glob("*.toml"):
        assert 'source = "' in file.read_text(encoding="utf-8"), file.name


def test_a_broken_device_file_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("devices")
    (folder / "odd.toml").write_text('name = "odd"\n', encoding="utf-8")
    with pytest.raises(DeviceFileError, match=r"odd\.toml"):
        catalogued_models(folder)


def test_loading_twice_equals_loading_once(database: Database) -> None:
    items = sum(1 + len(model.registers) for model in MODELS.values())
    with database.writing() as connection:
        first = load_catalogue(connection, MODELS.values(), now=NOW)
        second = load_catalogue(connection, MODELS.values(), now=NOW)
        assert [model.name for model in all_meter_models(connection)] == list(MODELS)
    assert (first.added, second.added, second.unchanged) == (items, 0, items)


def test_what_an_admin_changed_or_removed_stays_and_the_rest_follows_the_file(
    database: Database,
) -> None:
    model = MODELS["sdm120"]
    newer = newer_units(model)
    with database.writing() as connection:
        load_catalogue(connection, [model], now=NOW)
        changed, removed, *followed = registers_of(connection)
        change_register(connection, register_id=changed.id, changes={"scale": 0.5}, by=1, now=NOW)
        remove_register(connection, register_id=removed.id, by=1, now=NOW)
        again = load_catalogue(connection, [newer], now=NOW)
        now_there = {register.id: register for register in registers_of(connection)}
    assert now_there[changed.id].scale == 0.5
    assert now_there[changed.id].unit == changed.unit
    assert removed.id not in now_there
    assert {now_there[register.id].unit for register in followed} == {"new"}
    assert (again.kept, again.updated, again.unchanged) == (2, len(followed), 1)


def newer_units(model: CatalogueModel) -> CatalogueModel:
    registers = [msgspec.structs.replace(register, unit="new") for register in model.registers]
    return msgspec.structs.replace(model, registers=registers)


def test_a_model_of_the_same_name_that_an_admin_made_is_theirs(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.insert(meter_models).values(name="sdm120", direction=1))
        load_catalogue(connection, [MODELS["sdm120"]], now=NOW)
        [model] = all_meter_models(connection)
        loaded = set(connection.scalars(sa.select(catalogue_loads.c.item)))
    assert model.direction == 1
    assert "sdm120" not in loaded


def test_a_renamed_model_is_not_made_again(database: Database) -> None:
    with database.writing() as connection:
        load_catalogue(connection, [MODELS["sdm120"]], now=NOW)
        [model] = all_meter_models(connection)
        changes = {"name": "our sdm120"}
        change_meter_model(connection, meter_model_id=model.id, changes=changes, by=1, now=NOW)
        load_catalogue(connection, [MODELS["sdm120"]], now=NOW)
        assert [known.name for known in all_meter_models(connection)] == ["our sdm120"]
