"""Health and metrics, for whoever runs the server."""

import msgspec
import sqlalchemy as sa
from litestar import Request, Response, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_LATEST

from meterbook.access import book_of
from meterbook.api.worker_metrics import WorkerMetrics
from meterbook.storage.database import NotDurableError
from meterbook.storage.migrate import is_current


class Readiness(msgspec.Struct, frozen=True):
    """Whether the server can do its work, and what of it cannot."""

    ready: bool
    checks: dict[str, str]
    """Name of the check to `ok` or the reason it is not."""


@get("/health/live", sync_to_thread=False, summary="Is the process alive?", security=[{}])
def live() -> dict[str, str]:
    """Answer as long as the process can."""
    return {"status": "alive"}


@get("/health/ready", sync_to_thread=True, summary="Can it do its work?", security=[{}])
def ready(request: Request[object, object, State]) -> Response[Readiness]:
    """Answer 200 if packets can be stored and questions answered, else 503 and why not."""
    checks: dict[str, str] = {}
    book = book_of(request)
    database = book.database
    if book.is_stopping():
        checks["stopping"] = "this process ends soon: ask another one"
    try:
        with database.reading() as connection:
            checks["database"] = "ok"
            checks["schema"] = "ok" if is_current(connection) else "not the newest: run migrations"
        database.require_durable()
        checks["durability"] = "ok"
        with database.writing() as connection:
            connection.execute(sa.text("DELETE FROM job_leases WHERE 1 = 0"))
            checks["writable"] = "ok"
    except NotDurableError as error:
        checks["durability"] = str(error)
    except sa.exc.SQLAlchemyError as error:
        checks["database"] = type(error).__name__
    is_ready = all(result == "ok" for result in checks.values())
    return Response(Readiness(is_ready, checks), status_code=200 if is_ready else 503)


@get(
    "/metrics",
    media_type="text/plain",
    sync_to_thread=True,
    summary="Prometheus metrics",
    security=[{}],
)
def metrics(request: Request[object, object, State]) -> Response[bytes]:
    """Answer with the counters of every worker of this server, told apart by `worker`."""
    counted: WorkerMetrics = request.app.state.worker_metrics
    return Response(counted.text(), media_type=CONTENT_TYPE_LATEST)
