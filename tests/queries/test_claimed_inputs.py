"""What a claimed input is shown as: its measurement, flow, and the meter whose page has it."""

from callers import signed_in
from meterbook.domain.input_mappings import Mapping
from meterbook.domain.readings import Flow
from meterbook.inputs import pool
from meterbook.inputs.claims import InputClaim, claim_input
from meterbook.inputs.deliveries import Delivery
from meterbook.inputs.owned_devices import change_device, devices_seen
from meterbook.queries.claimed_inputs import ClaimedAs, account_names, claimed_inputs
from meterbook.storage.database import Database

NOW = 1_767_225_600
METER = 27_182


def test_each_claimed_input_is_named_with_its_meter_and_nobodys_devices_come_first(
    database: Database,
) -> None:
    account, _ = signed_in(database, "anna")
    claims = {
        "in": InputClaim(Mapping.COUNTER, "kWh", meter_id=METER),
        "out": InputClaim(Mapping.COUNTER, "kWh", flow=Flow.EXPORT, meter_id=METER),
        "volts": InputClaim(Mapping.MOMENTARY, "V"),
    }
    sent = {("roof", name): {NOW * 1000: 1} for name in (*claims, "rest")}
    with database.writing() as connection:
        stray = Delivery("mqtt", {("stray", "power"): {NOW * 1000: 1}})
        pool.store(connection, [Delivery("mqtt", sent), stray], devices_max=9, now=NOW)
        roof = next(one for one in devices_seen(connection) if one.foreign_id == "roof")
        change_device(
            connection,
            device_id=roof.id,
            account_id=None,
            changes={"user": account.id},
            by=None,
            now=NOW,
        )
        ids = {found.name: found.id for found in roof.inputs}
        for name, claim in claims.items():
            claim_input(
                connection,
                device_id=roof.id,
                input_id=ids[name],
                account_id=account.id,
                claim=claim,
                default_zone="UTC",
                by=account.id,
                now=NOW,
            )
    with database.reading() as connection:
        found = claimed_inputs(connection, device_ids=[roof.id])
        pooled = devices_seen(connection, unclaimed=True)
        names = account_names(connection, account_ids=[account.id])
    assert found == {
        ids["in"]: ClaimedAs("active_energy", Flow.IMPORT, METER),
        ids["out"]: ClaimedAs("active_energy", Flow.EXPORT, METER),
        ids["volts"]: ClaimedAs("volts", Flow.IMPORT, None),
    }
    assert [device.foreign_id for device in pooled] == ["stray", "roof"]
    assert names == {account.id: "anna"}
