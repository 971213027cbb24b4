"""Errors as problem documents."""

import pytest

from meterbook.api.errors import _problem_of
from meterbook.daybook import ConcurrentChangeError
from meterbook.ledger import ConcurrentRevisionError


@pytest.mark.parametrize("error", [ConcurrentChangeError(), ConcurrentRevisionError()])
def test_who_lost_against_another_is_told_to_try_again(error: Exception) -> None:
    document, headers = _problem_of(error)
    assert (document.status, document.detail) == (
        503,
        "the readings were changed at the same moment; try again",
    )
    assert int(headers["Retry-After"]) > 0
