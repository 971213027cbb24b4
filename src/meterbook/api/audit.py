"""`/admin/audit`: who changed what."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from meterbook.access import Visit
from meterbook.api.wire import ID_MAX, NO_CONTROLS, ROWS_MAX
from meterbook.registry import audit
from meterbook.registry.audit import AuditEntry

Subject = Annotated[
    str | None,
    QueryParameter(
        max_length=200, pattern=NO_CONTROLS, description="Of one thing only, such as hosts/8."
    ),
]


@get("/admin/audit", sync_to_thread=True, summary="The audit log")
def audit_log(
    visit: NamedDependency[Visit],
    subject: Subject = None,
    limit: Annotated[int, QueryParameter(ge=1, le=ROWS_MAX)] = 100,
    offset: Annotated[int, QueryParameter(ge=0, le=ID_MAX)] = 0,
) -> list[AuditEntry]:
    """List the entries, newest first."""
    with visit.reading() as (connection, _):
        return audit.entries(connection, subject=subject, limit=limit, offset=offset)
