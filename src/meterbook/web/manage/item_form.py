"""The form of one thing under `/manage`, and the kinds of things there are."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar import Request
from litestar.exceptions import NotFoundException
from litestar.response import Template

from meterbook.access import Caller, book_of
from meterbook.web.languages import gettext
from meterbook.web.manage import catalogue, sites
from meterbook.web.manage.forms import FormField
from meterbook.web.manage.kinds import Kind
from meterbook.web.pages import rendered

PATH = "/manage"
KINDS: dict[str, Kind] = {
    "hosts": sites.HOSTS,
    "locations": sites.LOCATIONS,
    "meters": sites.METER_POINTS,
    "meter-models": catalogue.METER_MODELS,
    "registers": catalogue.REGISTERS,
    "measurements": catalogue.MEASUREMENTS,
    "accounts": catalogue.ACCOUNTS,
}


class ShownField(msgspec.Struct, frozen=True):
    """One field of a form, in the reader's language."""

    name: str
    words: str
    hint: str
    is_required: bool
    width: str
    inputmode: str
    choices: list[tuple[str, str]] | None


class FormPage(msgspec.Struct, frozen=True):
    """The form of one thing, new or there already."""

    name: str
    list_title: str
    title: str
    action: str
    fields: list[ShownField]
    values: dict[str, str]
    errors: dict[str, str]
    notice: str
    said: str
    """What has just been done; empty: nothing."""
    more: object
    """What `Kind.more` returned."""
    more_template: str
    actions: dict[str, str]
    """What else can be done: its address to its words."""


def item_form(
    request: Request[Any, Any, Any],
    caller: Caller,
    kind: str,
    *,
    item: str | None,
    values: dict[str, str],
    errors: dict[str, str] | None = None,
    said: str = "",
) -> Template:
    """Return the page with the form of a thing, and what else its kind shows of it."""
    of = kind_named(kind)
    if item is None and of.add is None:
        raise NotFoundException("no such page")
    more = None
    with book_of(request).database.reading() as connection:
        if item is not None and of.more is not None:
            more = of.more(connection, item)
        fields = [
            _shown(connection, field, values.get(field.name, ""))
            for field in fields_of(of, is_new=item is None)
        ]
    reasons = errors or {}
    one = gettext(of.one)
    page = FormPage(
        name=kind,
        list_title=gettext(of.title),
        title=gettext(of.add_words) if item is None else f"{one} {item}",
        action=f"{PATH}/{kind}/{item or 'new'}",
        fields=fields,
        values=values,
        errors=reasons,
        notice=reasons.get("", ""),
        said=said,
        more=more,
        more_template=of.more_template,
        actions={}
        if item is None
        else {
            f"{PATH}/{kind}/{item}/{name}": gettext(each.words) for name, each in of.actions.items()
        },
    )
    status = 400 if reasons else 200
    return rendered(request, caller, "manage_form.html", page=page, status_code=status)


def _shown(connection: sa.Connection, field: FormField, chosen: str) -> ShownField:
    return ShownField(
        field.name,
        gettext(field.words),
        gettext(field.hint) if field.hint else "",
        field.is_required,
        field.width,
        {"whole": "numeric", "meter": "numeric", "decimal": "decimal"}.get(field.shape.value, ""),
        None if field.choices is None else _choices(field, field.choices(connection), chosen),
    )


def _choices(
    field: FormField, offered: Sequence[tuple[str, str]], chosen: str
) -> list[tuple[str, str]]:
    if not chosen or any(sent == chosen for sent, _ in offered):
        return list(offered)
    # Of many only the first are offered; browsers would send the very first instead of this one.
    return [*offered, (chosen, f"{gettext(field.words)} {chosen}")]


def fields_of(of: Kind, *, is_new: bool) -> list[FormField]:
    """Return the fields a form has."""
    return [field for field in of.fields if is_new or not field.only_new]


def kind_named(name: str) -> Kind:
    """
    Return a kind by the name its addresses have.

    :raises NotFoundException: if there is none.
    """
    if name not in KINDS:
        raise NotFoundException("no such page")
    return KINDS[name]
