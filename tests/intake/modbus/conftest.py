"""Virtual devices that go on in a thread while a test talks to a started server."""

from collections.abc import Iterator

import pytest

from virtual_devices import DeviceThread


@pytest.fixture(scope="module")
def devices() -> Iterator[DeviceThread]:
    """Give a place to plug virtual devices in."""
    thread = DeviceThread()
    yield thread
    thread.stop()
