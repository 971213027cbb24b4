"""
`/query`: energy for programs that ask in InfluxQL, such as Grafana.

The password is a token of the API and no device's key: who writes a device may not read a home.
"""

from typing import Any

import sqlalchemy as sa

from meterbook.domain.influxql import (
    FIELDS,
    MEASUREMENT,
    TAGS,
    Listing,
    QueryError,
    Question,
    understood,
)
from meterbook.domain.local_days import utc_text
from meterbook.domain.meter_ids import MeterIdError, dashed, meter_id
from meterbook.queries.energy_series import energy_series, named_meters, seen_meters
from meterbook.registry.accounts import Account
from meterbook.registry.tokens import account_of_token
from meterbook.storage.database import Database

_PER_SECOND = {"ns": 10**9, "u": 10**6, "\N{MICRO SIGN}": 10**6, "ms": 1000, "s": 1}
_DATABASE = "meterbook"


class EnergyQueries:
    """Answers queries of accounts."""

    def __init__(self, database: Database) -> None:
        """Prepare."""
        self._database = database

    def answer(
        self, secret: str, query: str, *, epoch: str, now: int
    ) -> list[dict[str, Any]] | None:
        """
        Return the series of the answer; None if the secret is no token of an account.

        :param epoch: unit of the stamps; empty: ISO 8601.
        :raises QueryError: if the query is not understood.
        """
        with self._database.reading() as connection:
            account = account_of_token(connection, secret=secret, purpose="api", now=now)
            if account is None:
                return None
            if not query.lstrip().upper().startswith(("SELECT ", "SHOW ")):
                return []  # CREATE DATABASE and its like: there is nothing to do
            asked = understood(query, now=now)
            if isinstance(asked, Listing):
                return _listed(connection, account, asked)
            return _series(connection, account, asked, epoch, now)


def _series(
    connection: sa.Connection, account: Account, question: Question, epoch: str, now: int
) -> list[dict[str, Any]]:
    if epoch and epoch not in _PER_SECOND:
        raise QueryError(f"epoch {epoch!r} is not understood")
    words = named_meters(question.where)
    named = {number for word in words if (number := _number(word))}
    if words and not named:
        return []
    owner = None if account.sees_every_meter else account.id
    meters = seen_meters(connection, account_id=owner, named=named)
    columns = ["time", *(column.name for column in question.columns)]
    return [
        {
            "name": MEASUREMENT,
            **({"tags": found.tags} if found.tags else {}),
            "columns": columns,
            "values": [
                [at * _PER_SECOND[epoch] if epoch else utc_text(at), *numbers]
                for at, numbers in found.rows
            ],
        }
        for found in energy_series(connection, question=question, meters=meters, now=now)
    ]


_POLICY = ["name", "duration", "shardGroupDuration", "replicaN", "default"]


def _listed(connection: sa.Connection, account: Account, listing: Listing) -> list[dict[str, Any]]:
    fixed: dict[str, tuple[str, list[str], list[Any]]] = {
        "DATABASES": ("databases", ["name"], [[_DATABASE]]),
        "RETENTION POLICIES": ("", _POLICY, [["autogen", "0s", "168h0m0s", 1, True]]),
        "MEASUREMENTS": ("measurements", ["name"], [[MEASUREMENT]]),
        "FIELD KEYS": (MEASUREMENT, ["fieldKey", "fieldType"], [[one, "float"] for one in FIELDS]),
        "TAG KEYS": (MEASUREMENT, ["tagKey"], [[tag] for tag in TAGS]),
    }
    if listing.what in fixed:
        name, columns, rows = fixed[listing.what]
        return [_table(name, columns, rows)]
    if listing.what != "TAG VALUES" or listing.tag not in TAGS:
        raise QueryError(f"SHOW {listing.what} {listing.tag}".rstrip() + " is not understood")
    found = ["export", "import"]
    if listing.tag == "meter":
        owner = None if account.sees_every_meter else account.id
        meters = seen_meters(connection, account_id=owner, named=())
        found = [dashed(place.meter_id) for place in meters]
    return [_table(MEASUREMENT, ["key", "value"], [[listing.tag, text] for text in found])]


def _table(name: str, columns: list[str], rows: list[Any]) -> dict[str, Any]:
    return {**({"name": name} if name else {}), "columns": columns, "values": rows}


def _number(word: str) -> int | None:
    try:
        return meter_id(word)
    except MeterIdError:
        return None
