"""Whether settings mean something: what no type can say, asked before anything runs with them."""

from pathlib import Path

from meterbook.domain.local_days import time_zone
from meterbook.domain.networks import networks
from meterbook.domain.region_shapes import region_map
from meterbook.intake.wire.mqtt_start import mqtt_plan
from meterbook.logs import configure_logs
from meterbook.registry.hosts import POLL_S_MAX, POLL_S_MIN
from meterbook.settings import Settings, SettingsError


def require_right(settings: Settings) -> None:
    """
    Make sure every setting means something, before workers start that could only crash.

    :raises SettingsError: naming the setting that does not.
    """
    if settings.mqtt_url:
        mqtt_plan(**settings.mqtt)
    if not POLL_S_MIN <= settings.poll_seconds <= POLL_S_MAX:
        raise SettingsError(f"poll_seconds must be {POLL_S_MIN} to {POLL_S_MAX}")
    for name, check in (
        ("timezone", time_zone),
        ("trusted_networks", networks),
        ("trusted_proxies", networks),
        ("log_level", configure_logs),
        ("regions", _require_regions),
    ):
        try:
            check(getattr(settings, name))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None


def _require_regions(file: str) -> None:
    if not file:
        return
    try:
        region_map(Path(file).read_bytes())
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
