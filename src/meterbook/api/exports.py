"""`/exports`: readings as a file, written to disk first and sent in chunks."""

from datetime import date
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from meterbook.access import Visit
from meterbook.api.wire import ID_MAX, NO_CONTROLS
from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.exports.formats import EXPORT_FORMATS
from meterbook.exports.selection import Selection, require_selectable
from meterbook.exports.temporary import temporary_file
from meterbook.registry import users

Format = Annotated[Literal["csv", "parquet", "nem12", "espi", "zip"], PathParameter()]
Meter = Annotated[int | None, QueryParameter(ge=1, le=METER_ID_MAX)]
Account = Annotated[int | None, QueryParameter(ge=1, le=ID_MAX)]
Region = Annotated[str | None, QueryParameter(max_length=200, pattern=NO_CONTROLS)]


@get(
    "/exports/{format:str}",
    sync_to_thread=True,
    summary="Readings as a file",
    media_type="application/octet-stream",
)
def export_readings(
    visit: NamedDependency[Visit],
    format: Format,  # noqa: A002 the path's name
    meter: Meter = None,
    user: Account = None,
    region: Region = None,
    first_day: Annotated[date | None, QueryParameter(name="from")] = None,
    end_day: Annotated[date | None, QueryParameter(name="to")] = None,
) -> Stream:
    """
    Send the readings of a meter, an account, a region, or of all the caller may see.

    `from` and `to` are days on each meter's own clock, `to` not included. A household gets its own
    meters; one that is unknown or another account's is a 404.
    """
    chosen = EXPORT_FORMATS[format]
    with visit.reading() as (connection, account):
        selection = Selection(
            meter_ids=None if meter is None else [meter],
            account_id=user if account.sees_every_meter else account.id,
            region=region,
            first_day=first_day,
            end_day=end_day,
        )
        if selection.account_id is not None:
            users.user(connection, account_id=selection.account_id)
        require_selectable(connection, selection)
        content = temporary_file(connection, format, selection, now=visit.now)
    return Stream(
        content,
        media_type=chosen.media_type,
        headers={"Content-Disposition": f'attachment; filename="readings.{chosen.suffix}"'},
    )
