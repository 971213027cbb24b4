"""Whether settings mean something: what no type can say, asked before anything runs with them."""

from meterbook.domain.local_days import time_zone
from meterbook.domain.networks import networks
from meterbook.intake.wire.mqtt_start import mqtt_plan
from meterbook.logs import configure_logs
from meterbook.registry.hosts import POLL_S_MAX, POLL_S_MIN
from meterbook.settings import Settings, SettingsError, region_map_of


def require_right(settings: Settings) -> None:
    """
    Make sure every setting means something, before workers start that could only crash.

    :raises SettingsError: naming the setting that does not.
    """
    if settings.mqtt_url:
        mqtt_plan(**settings.mqtt)
    if not POLL_S_MIN <= settings.poll_seconds <= POLL_S_MAX:
        raise SettingsError(f"poll_seconds must be {POLL_S_MIN} to {POLL_S_MAX}")
    region_map_of(settings)
    for name, check in (
        ("timezone", time_zone),
        ("trusted_networks", networks),
        ("trusted_proxies", networks),
        ("log_level", configure_logs),
    ):
        try:
            check(getattr(settings, name))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
