"""Problems as a page: a browser that asks for HTML gets words instead of problem+json."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.response import Template

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


class ProblemPage(msgspec.Struct, frozen=True):
    """What `problem.html` shows."""

    status: int
    title: str
    detail: str
    errors: FieldErrors


def as_page(request: Request[Any, Any, Any], answer: Response[bytes]) -> Response[bytes] | Template:
    """Return the problem document as a page of the same status if the caller is a browser."""
    if not wants_page(request):
        return answer
    document = msgspec.json.decode(answer.content, type=Problem)
    title = gettext(_TITLES.get(document.status, document.title))
    # When something is broken here, the page must not need what is broken.
    broken = document.status >= 500  # noqa: PLR2004 the statuses of servers
    caller = Caller(None) if broken else provide_caller(request, provide_now())
    return rendered(
        request,
        caller,
        "problem.html",
        page=ProblemPage(document.status, title, document.detail, document.errors),
        status_code=document.status,
        headers=dict(answer.headers),
    )
