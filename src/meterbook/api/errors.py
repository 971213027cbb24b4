"""Maps errors to problem documents (RFC 9457); a browser gets a small page instead."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from meterbook.daybook import ConcurrentChangeError
from meterbook.domain.periods import EmptyRangeError, UnknownPeriodError
from meterbook.ledger import ConcurrentRevisionError
from meterbook.problems import PROBLEM_JSON, TITLES, Problem, problem
from meterbook.registry.accounts import AccountTakenError
from meterbook.registry.attempts import TooManyAttemptsError
from meterbook.registry.meters import UnknownMeterError
from meterbook.registry.passwords import WeakPasswordError
from meterbook.registry.refusals import InUseError, NotThereError, WrongFieldError
from meterbook.registry.sign_in import WrongCredentialsError
from meterbook.registry.sunspec_layouts import NotDiscoveredError
from meterbook.storage.database import is_unreachable
from meterbook.storage.dialects import taken_columns

RETRY_AFTER_S = 5
# Columns whose field has another name on the wire.
_FIELD_OF = {
    "account_id": "user",
    "location_id": "location",
    "meter_model_id": "meter",
    "number_type": "type",
}
# Parameters whose name in an address is none Python takes.
_PARAMETER_OF = {"first_day": "from", "end_day": "to"}
_REQUIRED = re.compile(r"missing required field `(\w+)`")
_log = structlog.get_logger()


def respond_with_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a request that failed."""
    document, headers = _problem_of(error)
    if document.status == 500:  # noqa: PLR2004 the status itself
        _log.error("request failed", path=request.url.path, **_where(error))
    return Response(
        msgspec.json.encode(document),
        status_code=document.status,
        media_type=PROBLEM_JSON,
        headers=dict(headers),
    )


def _problem_of(error: Exception) -> tuple[Problem, Mapping[str, str]]:  # noqa: PLR0911 a case each
    if wrong := _wrong_fields(error):
        return wrong, {}
    match error:
        case HTTPException():
            detail = error.detail if error.detail != TITLES.get(error.status_code) else ""
            return problem(error.status_code, detail), error.headers or {}
        case WrongCredentialsError():
            return problem(401, str(error)), {"WWW-Authenticate": "Token"}
        case NotThereError() | UnknownMeterError():
            return problem(404, str(error)), {}
        case InUseError() | NotDiscoveredError():
            return problem(409, str(error)), {}
        case TooManyAttemptsError():
            return problem(429, str(error)), {"Retry-After": str(error.retry_after_s)}
        case ConcurrentChangeError() | ConcurrentRevisionError():
            changed = problem(503, "the same reading is being changed by others; try again")
            return changed, {"Retry-After": str(RETRY_AFTER_S)}
        case _ if is_unreachable(error):
            away = problem(503, "the database cannot be reached")
            return away, {"Retry-After": str(RETRY_AFTER_S)}
        case _:
            return problem(500, "something went wrong here; it has been logged"), {}


def _where(error: Exception) -> dict[str, str]:
    # Type and place only: a message may carry what a person typed, a traceback what was stored.
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    ours = [frame for frame in frames if "meterbook" in frame.filename]
    called_at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else place
    return {"error": type(error).__name__, "raised_at": place, "called_at": called_at}


def _wrong_fields(error: Exception) -> Problem | None:  # noqa: PLR0911 a case each
    match error:
        case ValidationException():
            return problem(400, "the request is not right", errors=_field_errors(error))
        case UnknownPeriodError() | EmptyRangeError():
            return problem(400, str(error), errors={"period": [str(error)]})
        case AccountTakenError():
            return problem(400, str(error), errors={error.field: [str(error)]})
        case WeakPasswordError():
            return problem(400, str(error), errors={"password": [str(error)]})
        case WrongFieldError():
            return problem(400, str(error), errors={error.field: [error.reason]})
        case sa.exc.IntegrityError():
            return _refused_by_a_rule(error)
        case sa.exc.DataError():
            return problem(400, "a value cannot be stored")
        case _:
            return None


def _refused_by_a_rule(error: sa.exc.IntegrityError) -> Problem:
    if names := [_FIELD_OF.get(column, column) for column in taken_columns(error)]:
        together = f"another one has this {', '.join(names)}"
        return problem(400, together, errors={name: [together] for name in names})
    return problem(409, "something that belongs to it was changed at the same moment; try again")


def _field_errors(error: ValidationException) -> dict[str, list[str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    found: dict[str, list[str]] = {}
    for item in extra:
        name, reason = str(item.get("key", "body")), str(item.get("message", ""))
        if required := _REQUIRED.search(reason):
            name, reason = required[1], "is required"
        elif item.get("source") == "query":
            name = _PARAMETER_OF.get(name, name)
        elif reason == f"'{name}'":
            name, reason = "body", "is required"
        found.setdefault("body" if name == "data" else name, []).append(reason)
    return found or {"body": [error.detail]}
