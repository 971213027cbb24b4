"""
Settings: one table of name, default and sentence.

The environment (`METERBOOK_*`) wins over `meterbook.toml`, that over the default. What is secret
may also stand in a file that `METERBOOK_..._FILE` names, as containers and systemd hand secrets
over. Modules never read settings; `app` and `cli` hand them the values they need.
"""

import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from meterbook.domain.region_shapes import RegionMap, RegionShapesError, region_map

ENVIRONMENT_PREFIX = "METERBOOK_"
SETTINGS_FILE = "meterbook.toml"


class SettingsError(ValueError):
    """A setting that cannot be; names it and where it came from, never a secret's value."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its value."""

    data_dir: Path = Path("meterbook-data")
    database: str = ""
    timezone: str = "UTC"
    trusted_networks: str = "127.0.0.0/8, ::1/128"
    reading_kwh_max: float = 1000.0
    queue_readings_max: int = 20_000
    upload_bytes_max: int = 268_435_456
    poll_seconds: int = 60
    close_delay_minutes: int = 30
    recovery_days_kept: int = 14
    devices_max: int = 10_000
    input_days_kept: int = 400
    session_idle_minutes: int = 60 * 24 * 14
    session_days: int = 90
    live_streams_per_account: int = 8
    silent_intervals: int = 4
    region_group_min: int = 10
    regions: str = ""
    token_days: int = 0
    wrong_sign_ins_per_minute: int = 5
    registrations_per_minute: int = 20
    trusted_proxies: str = ""
    secret_key: str = ""
    mqtt_url: str = ""
    mqtt_client_id: str = "meterbook"
    mqtt_ca_file: str = ""
    mqtt_topics: str = (
        "emon/#, tele/+/SENSOR, shellies/#, +/status/#, +/events/rpc, "
        "v1/devices/me/telemetry, v1/gateway/telemetry"
    )
    mqtt_prefix: str = "meterbook"
    mqtt_discovery_prefix: str = "homeassistant"
    mqtt_publish_meters: str = ""
    mqtt_publish_seconds: int = 60
    drain_seconds: int = 0
    log_level: str = "info"
    role: str = "all"

    @property
    def mqtt(self) -> dict[str, str]:
        """What says where the broker is and what to do there, under names without `mqtt_`."""
        names = ("url", "client_id", "ca_file", "topics", "prefix", "discovery_prefix")
        return {name: getattr(self, f"mqtt_{name}") for name in (*names, "publish_meters")}

    @property
    def database_url(self) -> str:
        """The database to use: the one set, or a file in the data directory."""
        return self.database or f"sqlite:///{self.database_file}"

    @property
    def database_file(self) -> Path:
        """The book of an installation that has no database set."""
        return self.data_dir.absolute() / "meterbook.sqlite"


SENTENCES = {
    "data_dir": "Folder for the database, the secret key and the recovery files.",
    "database": "Database URL; empty: SQLite in data_dir. postgresql+psycopg://... for PostgreSQL.",
    "timezone": "IANA zone of meters that have none of their own.",
    "trusted_networks": "Networks whose packets need no key, comma-separated.",
    "reading_kwh_max": "Largest plausible energy of one half hour, kWh.",
    "queue_readings_max": "Readings that may wait to be stored before senders are told to wait.",
    "upload_bytes_max": "Largest body of POST /readings, after decompression.",
    "poll_seconds": "How often Modbus hosts are read that have no period of their own, 5 to 3600.",
    "close_delay_minutes": "How long after local midnight a day is closed.",
    "recovery_days_kept": "For how many days recovery files are kept.",
    "devices_max": "Devices that may send with the keys of one account, or without a key.",
    "input_days_kept": "For how many days what devices sent is kept as they sent it.",
    "session_idle_minutes": "After how long without a click a browser is signed out.",
    "session_days": "After how many days a browser is signed out, however much it is used.",
    "live_streams_per_account": "Pages of one account that one process keeps up to date at once.",
    "silent_intervals": "Half-hours without a reading after which a meter counts as silent.",
    "region_group_min": "Homes that must have reported a day before others see their average.",
    "regions": "GeoJSON file that draws the regions; each feature's property name is the region's.",
    "token_days": "For how many days an API token is valid; 0: until the next sign-in.",
    "wrong_sign_ins_per_minute": "Wrong passwords for one account from one address in a minute.",
    "registrations_per_minute": "New accounts from one address in a minute.",
    "trusted_proxies": "Networks of proxies whose X-Forwarded-For and -Proto are believed.",
    "secret_key": "Key that encrypts personal data; empty: the file secret.key in data_dir.",
    "mqtt_url": "MQTT broker, mqtt://user:password@host:1883 or mqtts://...; empty: none.",
    "mqtt_client_id": "Name of our persistent session at the broker; one for each installation.",
    "mqtt_ca_file": "Certificates the broker's must come from; empty: the system's.",
    "mqtt_topics": "Topics listened to, comma-separated.",
    "mqtt_prefix": "Our own topics: PREFIX/packets takes packets, PREFIX/meters/ID has figures.",
    "mqtt_discovery_prefix": "Where Home Assistant's discovery messages are read and written.",
    "mqtt_publish_meters": "Meter IDs whose figures are published, comma-separated.",
    "mqtt_publish_seconds": "How often figures that have changed are published.",
    "drain_seconds": "How long after SIGTERM all is answered while /health/ready says 503.",
    "log_level": "debug, info, warning or error.",
    "role": "all, web (only answers), collect (polls hosts) or jobs; `serve --role` wins.",
}
SECRETS = frozenset({"secret_key"})
FROM_FILES = frozenset({"database", "secret_key", "mqtt_url"})
"""Settings that hold or may hold a secret: METERBOOK_DATABASE_FILE names a file with the URL."""
SECRET_BYTES_MAX = 65_536  # a secret is a line; whoever names a book instead hears so at once
ROLES = ("all", "web", "collect", "jobs")
NEVER_ZERO = frozenset(
    {
        "reading_kwh_max",
        "queue_readings_max",
        "upload_bytes_max",
        "session_idle_minutes",
        "session_days",
        "live_streams_per_account",
        "silent_intervals",
        "wrong_sign_ins_per_minute",
        "registrations_per_minute",
        "devices_max",
        "mqtt_publish_seconds",
    }
)
"""Settings of which none at all would only mean that nothing works."""


class Origin(msgspec.Struct, frozen=True):
    """Where a setting's value came from."""

    name: str
    shown: str
    """The value as it may be shown: secrets and passwords masked."""
    origin: str
    """`default`, `meterbook.toml` or the environment variable."""
    sentence: str


def load_settings(
    environment: Mapping[str, str] = os.environ, *, directory: Path = Path()
) -> Settings:
    """
    Return the settings in force.

    :raises SettingsError: if one is unknown, or not what it should be.
    """
    return _convert(_collect(environment, directory))


def region_map_of(settings: Settings) -> RegionMap | None:
    """
    Return the regions' shapes; None where none are set.

    :raises SettingsError: if the file cannot be read, or is no such map.
    """
    if not settings.regions:
        return None
    try:
        return region_map(Path(settings.regions).read_bytes())
    except OSError as error:
        raise SettingsError(f"regions: {settings.regions}: {error.strerror}") from None
    except RegionShapesError as error:
        raise SettingsError(f"regions: {settings.regions}: {error}") from None


def origins(
    environment: Mapping[str, str] = os.environ, *, directory: Path = Path()
) -> list[Origin]:
    """
    Return every setting with the origin of its value.

    :raises SettingsError: as `load_settings`.
    """
    collected = _collect(environment, directory)
    settings = _convert(collected)
    return [
        Origin(
            name,
            _shown(name, getattr(settings, name)),
            collected[name][1] if name in collected else "default",
            sentence,
        )
        for name, sentence in SENTENCES.items()
    ]


def _collect(environment: Mapping[str, str], directory: Path) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    file = directory / SETTINGS_FILE
    if file.is_file():
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{SETTINGS_FILE}: {error}") from None
        found |= {name: (value, SETTINGS_FILE) for name, value in content.items()}
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and not variable.startswith("METERBOOK_TEST_"):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            secret = name.removesuffix("_file")
            if secret == name or secret not in FROM_FILES:
                found[name] = (text, variable)
            elif (direct := variable.removesuffix("_FILE")) in environment:
                raise SettingsError(f"{variable}: {direct} is set too")
            else:
                found[secret] = (_secret_in(text, variable=variable), variable)
    for name, (_, origin) in found.items():
        if name not in SENTENCES:
            raise SettingsError(f"{origin}: there is no setting {name!r}")
    return found


def _secret_in(file: str, *, variable: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            secret = opened.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{variable}: {file}: {error.strerror}") from None
    try:
        text = secret.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(secret) > SECRET_BYTES_MAX:
        raise SettingsError(f"{variable}: {file} does not hold a line of text")
    return text


def _convert(found: Mapping[str, tuple[Any, str]]) -> Settings:
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name not in found:
            continue
        value, origin = found[field.name]
        try:
            values[field.name] = (
                Path(value)
                if field.type is Path
                else msgspec.convert(value, field.type, strict=False)
            )
        except (msgspec.ValidationError, TypeError):
            kind = getattr(field.type, "__name__", "value")
            raise SettingsError(f"{origin}: {field.name} must be of type {kind}") from None
        _require_possible(field.name, values[field.name], origin)
    return Settings(**values)


def _require_possible(name: str, set_to: object, origin: str) -> None:
    if isinstance(set_to, int | float) and not 0 <= set_to < math.inf:
        raise SettingsError(f"{origin}: {name} must be a number, and not negative")
    if set_to == 0 and name in NEVER_ZERO:
        raise SettingsError(f"{origin}: {name} must be more than 0")
    if name == "role" and set_to not in ROLES:
        raise SettingsError(f"{origin}: role must be one of {', '.join(ROLES)}")


def _shown(name: str, set_to: object) -> str:
    if name in SECRETS:
        return "********" if set_to else ""
    text = str(set_to)
    if name in {"database", "mqtt_url"} and "@" in text:
        scheme, _, rest = text.partition("://")
        user = rest.rpartition("@")[0].partition(":")[0]
        return f"{scheme}://{user}:********@{rest.rpartition('@')[2]}"
    return text
