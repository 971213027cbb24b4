"""Maps errors to problem documents (RFC 9457); a browser gets a small page instead."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from meterbook.domain.periods import EmptyRangeError, UnknownPeriodError
from meterbook.problems import PROBLEM_JSON, TITLES, Problem, problem
from meterbook.registry.accounts import AccountTakenError
from meterbook.registry.passwords import WeakPasswordError
from meterbook.storage.database import is_unreachable

RETRY_AFTER_S = 5
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
    match error:
        case ValidationException():
            return problem(400, "the request is not right", errors=_field_errors(error)), {}
        case HTTPException():
            detail = error.detail if error.detail != TITLES.get(error.status_code) else ""
            return problem(error.status_code, detail), error.headers or {}
        case UnknownPeriodError() | EmptyRangeError():
            return problem(400, str(error), errors={"period": [str(error)]}), {}
        case AccountTakenError():
            return problem(400, str(error), errors={error.field: [str(error)]}), {}
        case WeakPasswordError():
            return problem(400, str(error), errors={"password": [str(error)]}), {}
        case _ if is_unreachable(error):
            return problem(503, "the database cannot be reached"), {
                "Retry-After": str(RETRY_AFTER_S)
            }
        case _:
            return problem(500, "something went wrong here; it has been logged"), {}


def _where(error: Exception) -> dict[str, str]:
    # Type and place only: a message may carry what a person typed, a traceback what was stored.
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    ours = [frame for frame in frames if "meterbook" in frame.filename]
    called_at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else place
    return {"error": type(error).__name__, "raised_at": place, "called_at": called_at}


def _field_errors(error: ValidationException) -> dict[str, list[str]]:
    extra = error.extra if isinstance(error.extra, list) else []
    found: dict[str, list[str]] = {}
    for item in extra:
        found.setdefault(str(item.get("key", "body")), []).append(str(item.get("message", "")))
    return found or {"body": [error.detail]}
