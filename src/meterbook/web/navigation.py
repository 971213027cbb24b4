"""The links in the header: which pages there are for whom."""

import msgspec

from meterbook.registry.accounts import Account, Role
from meterbook.web.languages import gettext, marked


class Link(msgspec.Struct, frozen=True):
    """One link of the header."""

    path: str
    words: str
    is_here: bool
    """Whether the page shown is it, or below it."""


_EVERYBODY = frozenset(Role)
# Path, words, and whose header shows it; in this order.
_STAFF = frozenset({Role.OPERATOR, Role.ADMIN})
_LINKS: tuple[tuple[str, str, frozenset[Role]], ...] = (
    ("/profile", marked("Meters"), _EVERYBODY),
    ("/files", marked("Files"), _EVERYBODY),
    ("/sites", marked("Sites"), _EVERYBODY),
    ("/devices", marked("Devices"), _EVERYBODY),
    ("/management-dashboard/", marked("Regions"), _STAFF),
    ("/manage", marked("Administration"), frozenset({Role.ADMIN})),
)
_ELSEWHERE = {"/sites": "/hosts/"}
"""Paths that belong to a link without beginning as it does."""


def links_of(account: Account | None, *, path: str) -> list[Link]:
    """Return the links that the account's role shows, for the page at the path."""
    if account is None:
        return []
    return [
        Link(target, gettext(words), _is_below(path, target))
        for target, words, roles in _LINKS
        if account.role in roles
    ]


def _is_below(path: str, target: str) -> bool:
    below = (f"{target.rstrip('/')}/", _ELSEWHERE.get(target, f"{target.rstrip('/')}/"))
    return path == target or path.startswith(below)
