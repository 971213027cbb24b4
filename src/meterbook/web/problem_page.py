"""Problems as a page: a browser that asks for HTML gets words instead of problem+json."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.response import Template

from meterbook.problems import Problem
from meterbook.web.pages import wants_page


def as_page(request: Request[Any, Any, Any], answer: Response[bytes]) -> Response[bytes] | Template:
    """Return the problem document as a page of the same status if the caller is a browser."""
    if not wants_page(request):
        return answer
    document = msgspec.json.decode(answer.content, type=Problem)
    return Template(
        "problem.html",
        context={"problem": document},
        status_code=document.status,
        headers=answer.headers,
    )
