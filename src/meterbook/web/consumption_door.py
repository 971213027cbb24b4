"""
`GET /profile/{meterId}/consumption` as programs ask it, before the framework sees it.

It is what programs ask most, a meter at a time, so many such questions share one read transaction
and one change of thread, and none has a task of its own: `serving/connections.py` hands them over.
Whatever is not quite regular (a browser, a wrong token, another's meter, an odd parameter) is left
to the route in `web/consumption.py`, which answers the same and words what is wrong.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import sqlalchemy as sa
import structlog

from meterbook.access import token_written
from meterbook.domain.local_days import time_zone
from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.domain.periods import (
    FINE_S,
    EmptyRangeError,
    Resolution,
    UnknownPeriodError,
    asked_period,
)
from meterbook.gathering import Gathering, QueueFullError
from meterbook.problems import Answer
from meterbook.queries.consumption import Asked, consumptions
from meterbook.queries.meter_places import MeterPlace, meter_places
from meterbook.registry.tokens import account_of_token
from meterbook.storage.database import Database
from meterbook.web.envelope import safe_headers

QUESTIONS_MAX = 32  # in one transaction: the last of them waits for all
WAITING_MAX = 10_000
DAYS_MAX = 400  # what is longer, or finer over weeks, must not make the others wait
FINE_DAYS_MAX = 7
_PATH = re.compile(r"/profile/([0-9-]{1,32})/consumption", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY_S = 86_400
_HEADERS = tuple(safe_headers([(b"content-type", b"application/json")], is_encrypted=False))
_ACCEPTED = {b"*/*", b"application/json"}
_OF_A_BODY = {b"content-length", b"transfer-encoding"}

_log = structlog.get_logger()


class _Query(msgspec.Struct, frozen=True):
    """What the query asks for."""

    period: str = ""
    first_day: date | None = None
    end_day: date | None = None
    resolution: Resolution | None = None


class _Question(msgspec.Struct, frozen=True):
    meter_id: int
    asked: _Query
    secret: str
    now: int


class ConsumptionDoor:
    """Answers the regular questions itself and leaves the others to their route."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], int],
        is_closing: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare; the first question opens a connection."""
        self._reader = database.steady_reader()
        self._clock = clock
        self.is_closing = is_closing
        self._questions: Gathering[_Question, bytes | None] = Gathering(
            self._answer_all,
            queue_max=WAITING_MAX,
            batch_max=QUESTIONS_MAX,
            thread_name="consumption",
        )

    async def close(self) -> None:
        """Wait until every question is answered."""
        await self._questions.close()
        self._reader.close()

    def take(self, scope: dict[str, Any], answer: Callable[[Answer | None], None]) -> bool:
        """Take a regular question; `answer` gets None where the route must look at it."""
        question = _question_of(scope, now=self._clock)
        if question is None:
            return False

        def tell(body: bytes | Exception | None) -> None:
            if isinstance(body, Exception):  # the route will say what is wrong, if it is
                _log.warning("question left to its route", error=type(body).__name__)
                body = None
            answer(None if body is None else Answer(200, _HEADERS, body))

        try:
            self._questions.hand(question, tell)
        except QueueFullError:
            return False
        return True

    def _answer_all(self, questions: Sequence[_Question]) -> list[bytes | None]:
        bodies: list[bytes | None] = [None] * len(questions)
        with self._reader.reading() as connection:
            asked = _asked(connection, questions)
            answers = consumptions(connection, list(asked.values()), now=questions[0].now)
        for place, answer in zip(asked, answers, strict=True):
            bodies[place] = msgspec.json.encode(answer)
        return bodies


def _asked(connection: sa.Connection, questions: Sequence[_Question]) -> dict[int, Asked]:
    """Return by its place what each question asks, if this door is to answer it."""
    accounts = {
        secret: account_of_token(connection, secret=secret, purpose="api", now=questions[0].now)
        for secret in {question.secret for question in questions}
    }
    places = meter_places(connection, list({question.meter_id for question in questions}))
    asked: dict[int, Asked] = {}
    for number, question in enumerate(questions):
        account, place = accounts[question.secret], places.get(question.meter_id)
        if account is None or place is None:
            continue
        if not (account.sees_every_meter or place.account_id == account.id):
            continue
        each = _of_place(question.asked, place, now=question.now)
        if each is not None:
            asked[number] = each
    return asked


def _question_of(scope: dict[str, Any], *, now: Callable[[], int]) -> _Question | None:
    """Return the question of a regular request; None: the route must look at it."""
    match = _PATH.fullmatch(scope["path"]) if scope["method"] == "GET" else None
    if match is None:
        return None
    secret = _secret_of(scope["headers"])
    asked = _query_of(scope["query_string"])
    if secret is None or asked is None:
        return None
    try:
        return _Question(meter_id(match[1]), asked, secret, now())
    except MeterIdError:
        return None


def _secret_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token that regular headers show; None: the route must look at them."""
    authorization = None
    for name, text in headers:
        if name == b"authorization":
            authorization = text if authorization is None else b""
        elif name in _OF_A_BODY or (name == b"accept" and text not in _ACCEPTED):
            return None
    return token_written((authorization or b"").decode("latin-1"))


@lru_cache(maxsize=4096)
def _query_of(query: bytes) -> _Query | None:
    """Return what a regular query asks; None: the route must look at it."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        return None
    found = dict(pairs)
    if len(found) < len(pairs) or not found.keys() <= {"period", "from", "to", "resolution"}:
        return None
    days = [found.get("from"), found.get("to")]
    if any(day is not None and not _DAY.fullmatch(day) for day in days):
        return None
    try:
        first_day, end_day = (None if day is None else date.fromisoformat(day) for day in days)
        resolution = Resolution(found["resolution"]) if "resolution" in found else None
    except ValueError:
        return None
    return _Query(found.get("period", ""), first_day, end_day, resolution)


def _of_place(query: _Query, place: MeterPlace, *, now: int) -> Asked | None:
    zone = time_zone(place.zone)
    try:
        period = asked_period(query.period, query.first_day, query.end_day, now=now, zone=zone)
    except (EmptyRangeError, UnknownPeriodError):
        return None
    resolution = query.resolution or period.resolution
    days_max = FINE_DAYS_MAX if resolution in FINE_S else DAYS_MAX
    if period.ends_at - period.starts_at > days_max * _DAY_S:
        return None
    return Asked(place, period, resolution)
