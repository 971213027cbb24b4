"""What a kind of thing needs to have pages: its list, its form, and what can be done to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from meterbook.queries.device_lists import ListRow
from meterbook.web.manage.forms import FormField


class Listing(Protocol):
    """A question of `queries.device_lists`."""

    def __call__(
        self, connection: sa.Connection, *, search: str, limit: int, offset: int
    ) -> list[ListRow]:
        """Return some rows of the list."""


Reading = Callable[[sa.Connection, str], dict[str, str]]
"""Id to what the form shows; raises NotThereError."""


class Deed(msgspec.Struct, frozen=True):
    """Who does something, and when."""

    by: int
    """The admin's account."""
    now: int
    default_zone: str
    """Of meters not seen yet."""


Adding = Callable[[sa.Connection, dict[str, Any], Deed], str]
"""Fields to the id of what was added."""
Changing = Callable[[sa.Connection, str, dict[str, Any], Deed], None]
"""Id and what is to be different."""


class Action(msgspec.Struct, frozen=True):
    """Something that is asked about before it is done."""

    words: str
    """What the button that leads to the question says."""
    question: str
    consequence: str
    run: Callable[[sa.Connection, str, Deed], str | None]
    """Does it to the thing of that id; returns a secret to show this once, where it makes one."""
    is_dangerous: bool = True


class Kind(msgspec.Struct, frozen=True):
    """A kind of thing admins look after."""

    title: str
    """Marked, as all words here."""
    one: str
    summary: str
    columns: Sequence[str]
    listed: Listing
    fields: Sequence[FormField]
    body: type[msgspec.Struct]
    """The API's body, whose limits the form keeps."""
    read: Reading
    change: Changing
    add: Adding | None = None
    add_words: str = ""
    actions: Mapping[str, Action] = {}
    numeric: Sequence[int] = ()
    """Columns of numbers, from 0."""
    together: Sequence[str] = ()
    """Fields that say something only together: all are filled in, or none."""
    more: Callable[[sa.Connection, str], object] | None = None
    """What stands below the form of a thing that is there; shown by `more_template`."""
    more_template: str = ""
