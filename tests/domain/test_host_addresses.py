"""Where a host may be."""

import pytest

from meterbook.domain.host_addresses import HostAddressError, host_address


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("127.0.0.1", "127.0.0.1"),
        (" 2001:DB8:0::7 ", "2001:db8::7"),
        ("meter", "meter"),
        ("Meter-1.Example.", "meter-1.example"),
        ("modbus_tcp.local", "modbus_tcp.local"),
    ],
)
def test_one_spelling_for_one_address(written: str, stored: str) -> None:
    assert host_address(written) == stored


@pytest.mark.parametrize(
    "written",
    [
        "", ".", "256.1.1.1", "1.2.3", "a b", "-meter", "meter-", "a..b", "x" * 64,
        ".".join(["x" * 60] * 5), "http://meter", "meter:502", "métèr",
    ],
)  # fmt: skip
def test_what_is_neither_an_address_nor_a_name_is_refused(written: str) -> None:
    with pytest.raises(HostAddressError):
        host_address(written)
