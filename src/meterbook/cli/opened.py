"""What every command that touches the books opens: the settings in force and the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from meterbook.registry.personal_data import PersonalData, personal_data
from meterbook.settings import Settings, load_settings
from meterbook.storage.database import Database
from meterbook.storage.migrate import migrate


def settings_with(*, data_dir: Path | None = None, database: str | None = None) -> Settings:
    """
    Return the settings in force, with what the command line says on top.

    :raises SettingsError: if one is wrong.
    """
    settings = load_settings()
    if data_dir is not None:
        settings = msgspec.structs.replace(settings, data_dir=data_dir)
    if database is not None:
        settings = msgspec.structs.replace(settings, database=database)
    return settings


class NoBookError(RuntimeError):
    """There is no book where one should be: a folder misspelt, a disk not mounted."""


@contextmanager
def opened_database(settings: Settings, *, is_new: bool = True) -> Iterator[Database]:
    """
    Give the database with the newest schema, and close it.

    :param is_new: whether an empty book may be made where there is none.
    :raises NoBookError: if there is none and none may be made.
    """
    if not (is_new or settings.database or settings.database_file.is_file()):
        raise NoBookError(f"there is no book in {settings.data_dir}")
    database = Database(settings.database_url)
    try:
        migrate(database)
        yield database
    finally:
        database.close()


def personal_with(settings: Settings) -> PersonalData:
    """Return what encrypts and decrypts personal data."""
    return personal_data(data_dir=settings.data_dir, secret_key=settings.secret_key)
