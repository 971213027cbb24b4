"""What no client can cause by itself is a 503 that asks to come back, or a 500 without details."""

import msgspec
import pytest
import sqlalchemy as sa
from litestar.testing import RequestFactory

from meterbook.api.errors import respond_with_problem
from meterbook.daybook import ConcurrentChangeError
from meterbook.ledger import ConcurrentRevisionError


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (ConcurrentChangeError(), 503, "the same reading is being changed by others; try again"),
        (ConcurrentRevisionError(), 503, "the same reading is being changed by others; try again"),
        (sa.exc.TimeoutError(), 503, "the database cannot be reached"),
        (KeyError("secret"), 500, "something went wrong here; it has been logged"),
    ],
)
def test_a_failure_says_whether_to_come_back(error: Exception, status: int, detail: str) -> None:
    answer = respond_with_problem(RequestFactory().get("/"), error)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert msgspec.json.decode(answer.content)["detail"] == detail
