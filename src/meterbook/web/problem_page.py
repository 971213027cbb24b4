"""Problems as a page: a browser that asks for HTML gets words instead of problem+json."""

import asyncio
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar import Request, Response
from litestar.response import Template
from litestar.types import Receive, Scope, Send

from meterbook.access import Caller, provide_caller, provide_now
from meterbook.problems import FieldErrors, Problem
from meterbook.web.languages import gettext, marked
from meterbook.web.pages import rendered, wants_page

# What the pages call the statuses; the documents have their own titles, in English.
_TITLES = {
    400: marked("That does not work"),
    401: marked("Please sign in"),
    403: marked("Not for your role"),
    404: marked("Not found"),
    405: marked("Not this way"),
    409: marked("Something else depends on it"),
    413: marked("Too large"),
    415: marked("Not a format we read"),
    429: marked("Too many tries"),
    500: marked("Something went wrong here"),
    503: marked("Back in a moment"),
}
# What the reader may do about it; where there is none, the document's own detail has to do.
_ADVICE = {
    401: marked("You are not signed in, or not any more."),
    403: marked(
        "Your role may not see or do this, or the form was open for too long: "
        "go back and try again."
    ),
    404: marked("There is no such page, or it is not yours to see."),
    429: marked("Wait a minute, then try again."),
    500: marked("It has been written down. Try again; if it stays, tell your operator."),
    503: marked("Nothing is lost. Try again in a moment."),
}


# What the framework says of a parameter, by its beginning, and what the page says.
_REASONS = (
    ("Invalid RFC3339", marked("is no date, such as 2026-01-31")),
    ("Invalid enum value", marked("is none of the choices")),
    ("is required", marked("is missing")),
    ("Expected `int", marked("is no number that fits")),
    ("Expected `float", marked("is no number that fits")),
    ("Expected `str", marked("is too long, too short, or has other characters")),
)
# What forms of ours can be told, and what the page says in its place.
_DETAILS = {
    "to must be a day after from, at most a hundred years later": marked(
        "These days make no period: choose a later end, at most a hundred years after the beginning"
    ),
    "to must be a day after from, at most 400 days later": marked(
        "These days make no period: choose a later end, at most 400 days after the beginning"
    ),
    "give from and to together, without period": marked("Choose both days, the first and the last"),
}
_NOT_RIGHT = marked("Something in the address or the form cannot be read")
_UNREADABLE = "the request is not right"  # only these reasons are the framework's own


class ProblemPage(msgspec.Struct, frozen=True):
    """What `problem.html` shows."""

    status: int
    title: str
    advice: str
    """What to do, in the reader's language; empty: see the detail."""
    detail: str
    """In the reader's language where the page has words for it, else as the API has it."""
    errors: FieldErrors


class _LaterPage(Response[bytes]):
    """A problem whose page is made in a thread: it asks the database, which may be busy."""

    def to_asgi_response(self, app: Any = None, request: Any = None, **_more: Any) -> Any:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            page = await asyncio.to_thread(_page, request, self)
            await page.to_asgi_response(app, request)(scope, receive, send)

        return answer


def as_page(request: Request[Any, Any, Any], answer: Response[bytes]) -> Response[bytes]:
    """Return the problem document as a page of the same status if the caller is a browser."""
    if not wants_page(request):
        return answer
    return _LaterPage(answer.content, status_code=answer.status_code, headers=answer.headers)


def _page(request: Request[Any, Any, Any], answer: Response[bytes]) -> Template:
    document = msgspec.json.decode(answer.content, type=Problem)
    title = gettext(_TITLES.get(document.status, document.title))
    advice = _ADVICE.get(document.status, "")
    is_unreadable = document.detail == _UNREADABLE
    detail, errors = document.detail, document.errors
    if is_unreadable:
        detail = gettext(_NOT_RIGHT)
        errors = {field: [_reason(one) for one in reasons] for field, reasons in errors.items()}
    elif detail in _DETAILS:
        detail, errors = gettext(_DETAILS[detail]), {}
    return rendered(
        request,
        _caller(request, document.status),
        "problem.html",
        page=ProblemPage(
            document.status,
            title,
            gettext(advice) if advice else "",
            detail,
            errors,
        ),
        status_code=document.status,
        headers=dict(answer.headers),
    )


def _caller(request: Request[Any, Any, Any], status: int) -> Caller:
    # When something is broken here, the page must not need what is broken.
    if status >= 500:  # noqa: PLR2004 the statuses of servers
        return Caller(None)
    try:
        return provide_caller(request, provide_now())
    except sa.exc.SQLAlchemyError:
        return Caller(None)


def _reason(said: str) -> str:
    for begins, words in _REASONS:
        if said.startswith(begins):
            return gettext(words)
    return gettext("cannot be used here")
