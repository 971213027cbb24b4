"""Missing, late and shuffled packets lead to the ledger of a day that came in order."""

from pathlib import Path

from torture.fault_mix import LATE_BY_MAX, fault_mix, mixed, town


def test_a_day_with_the_faults_of_tsbs_leads_to_the_ledger_of_a_day_in_order(
    database_url: str, tmp_path: Path
) -> None:
    expected_url = f"sqlite:///{tmp_path / 'orderly.sqlite'}"
    outcome = fault_mix(database_url, expected_url, meters=150, seed=1)
    assert outcome.findings == []
    assert outcome.found == outcome.acknowledged


def test_the_mix_has_every_packet_once_and_is_out_of_order() -> None:
    batches = town(5_000)
    mix = mixed(batches, seed=1)
    sent = [row for batch in mix.batches for row in batch]
    everything = [row for batch in batches for row in batch]
    assert sorted(sent + mix.late) == sorted(everything)
    assert 0.09 < len(mix.late) / len(everything) < 0.15
    assert sent != sorted(sent, key=lambda row: (row[1], row[0]))
    assert len(mix.batches) > len(batches) - LATE_BY_MAX
