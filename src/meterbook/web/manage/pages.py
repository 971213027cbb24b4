"""`/manage`: one set of routes for every kind of thing admins look after, and the audit log."""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect, Template

from meterbook.access import Caller, book_of
from meterbook.queries.device_lists import ListRow
from meterbook.registry import audit
from meterbook.registry.accounts import Account, Role
from meterbook.web.languages import gettext, marked
from meterbook.web.manage import host_reading
from meterbook.web.manage.forms import half_said, read_form, refused
from meterbook.web.manage.item_form import KINDS, PATH, fields_of, item_form, kind_named
from meterbook.web.manage.kinds import Action, Deed
from meterbook.web.pages import Confirmation, rendered, sign_in_first, wants_page

_SAID = {
    "added": marked("Added."),
    "assigned": marked("Saved. What is ticked is read from now on."),
    "discovered": marked("The device told what it has: choose what to read of it below."),
}
ROWS_A_PAGE = 50
SEARCH_CHARACTERS_MAX = 200
PageNumber = Annotated[int, QueryParameter(name="page", ge=1, le=100_000)]
Search = Annotated[str, QueryParameter(name="search", max_length=SEARCH_CHARACTERS_MAX)]
FormBody = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


class KindCard(msgspec.Struct, frozen=True):
    """One kind on the overview."""

    name: str
    title: str
    summary: str


class ListPage(msgspec.Struct, frozen=True):
    """A list of one kind."""

    name: str
    title: str
    add_words: str
    columns: list[str]
    numeric: list[int]
    rows: list[ListRow]
    search: str
    number: int
    has_more: bool


class SecretPage(msgspec.Struct, frozen=True):
    """A secret, shown this once."""

    title: str
    secret: str
    back: str


class AuditPage(msgspec.Struct, frozen=True):
    """Part of the audit log."""

    rows: list[audit.AuditEntry]
    subject: str
    number: int
    has_more: bool


@get(PATH, sync_to_thread=True, include_in_schema=False)
def overview_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller]
) -> Template | Redirect:
    """Show the kinds of things there are."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(Role.ADMIN)
    cards = [
        KindCard(name, gettext(kind.title), gettext(kind.summary)) for name, kind in KINDS.items()
    ]
    return rendered(request, caller, "manage.html", page=cards)


@get(f"{PATH}/audit", sync_to_thread=True, include_in_schema=False)
def audit_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    subject: FromQuery[str] = "",
    page: PageNumber = 1,
) -> Template | Redirect:
    """Show who changed what."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(Role.ADMIN)
    with book_of(request).database.reading() as connection:
        rows = audit.entries(
            connection, subject=subject or None, limit=ROWS_A_PAGE + 1, offset=_skip(page)
        )
    shown = AuditPage(rows[:ROWS_A_PAGE], subject, page, len(rows) > ROWS_A_PAGE)
    return rendered(request, caller, "manage_audit.html", page=shown)


@get(f"{PATH}/{{kind:str}}", sync_to_thread=True, include_in_schema=False)
def list_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    kind: FromPath[str],
    search: Search = "",
    page: PageNumber = 1,
) -> Template | Redirect:
    """List the things of one kind, with a search."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(Role.ADMIN)
    of = kind_named(kind)
    asked = search.strip().replace("\0", "")
    with book_of(request).database.reading() as connection:
        rows = of.listed(connection, search=asked, limit=ROWS_A_PAGE + 1, offset=_skip(page))
    shown = ListPage(
        kind,
        gettext(of.title),
        gettext(of.add_words) if of.add else "",
        [gettext(column) for column in of.columns],
        list(of.numeric),
        rows[:ROWS_A_PAGE],
        asked,
        page,
        len(rows) > ROWS_A_PAGE,
    )
    return rendered(request, caller, "manage_list.html", page=shown)


@get(f"{PATH}/{{kind:str}}/new", sync_to_thread=True, include_in_schema=False)
def new_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], kind: FromPath[str]
) -> Template | Redirect:
    """Show the form of a new thing; the address may fill fields in."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(Role.ADMIN)
    preset = {name: request.query_params[name] for name in request.query_params}
    return item_form(request, caller, kind, item=None, values=preset)


@post(f"{PATH}/{{kind:str}}/new", sync_to_thread=True, include_in_schema=False)
def add_item(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    kind: FromPath[str],
    data: FormBody,
) -> Template | Redirect:
    """Add a thing, or show the form again with what is wrong beside it."""
    deed = _deed(request, caller.with_role(Role.ADMIN), now)
    return _save(request, caller, deed, kind, item=None, entered=_texts(data))


@get(f"{PATH}/{{kind:str}}/{{item:str}}", sync_to_thread=True, include_in_schema=False)
def item_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    kind: FromPath[str],
    item: FromPath[str],
    said: FromQuery[str] = "",
) -> Template | Redirect:
    """Show the form of a thing."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(Role.ADMIN)
    with book_of(request).database.reading() as connection:
        values = kind_named(kind).read(connection, item)
    words = gettext(_SAID[said]) if said in _SAID else ""
    return item_form(request, caller, kind, item=item, values=values, said=words)


@post(f"{PATH}/{{kind:str}}/{{item:str}}", sync_to_thread=True, include_in_schema=False)
def change_item(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    kind: FromPath[str],
    item: FromPath[str],
    data: FormBody,
) -> Template | Redirect:
    """Change a thing, or show the form again with what is wrong beside it."""
    deed = _deed(request, caller.with_role(Role.ADMIN), now)
    return _save(request, caller, deed, kind, item=item, entered=_texts(data))


@get(
    f"{PATH}/{{kind:str}}/{{item:str}}/{{action:str}}", sync_to_thread=True, include_in_schema=False
)
def question_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    kind: FromPath[str],
    item: FromPath[str],
    action: FromPath[str],
) -> Template | Redirect:
    """Ask before something that cannot be undone."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(Role.ADMIN)
    asked = _action(kind, action)
    with book_of(request).database.reading() as connection:
        kind_named(kind).read(connection, item)
    question = Confirmation(
        question=gettext(asked.question),
        consequence=gettext(asked.consequence),
        answer=gettext(asked.words),
        action=f"{PATH}/{kind}/{item}/{action}",
        back=f"{PATH}/{kind}/{item}",
        is_dangerous=asked.is_dangerous,
    )
    return rendered(request, caller, "confirm.html", page=question)


@post(
    f"{PATH}/{{kind:str}}/{{item:str}}/{{action:str}}", sync_to_thread=True, include_in_schema=False
)
def do_action(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    kind: FromPath[str],
    item: FromPath[str],
    action: FromPath[str],
) -> Template | Redirect:
    """Do what was asked about."""
    account = caller.with_role(Role.ADMIN)
    asked = _action(kind, action)
    try:
        with book_of(request).database.writing() as connection:
            secret = asked.run(connection, item, _deed(request, account, now))
    except Exception as error:  # noqa: BLE001 `refused` raises again what is no refusal
        with book_of(request).database.reading() as connection:
            values = kind_named(kind).read(connection, item)
        reasons = refused(error, names=())
        return item_form(request, caller, kind, item=item, values=values, errors=reasons)
    if secret is None:
        return Redirect(f"{PATH}/{kind}", status_code=303)
    shown = SecretPage(gettext(asked.words), secret, f"{PATH}/{kind}/{item}")
    return rendered(request, caller, "manage_secret.html", page=shown)


def _save(
    request: Request[Any, Any, Any],
    caller: Caller,
    deed: Deed,
    kind: str,
    *,
    item: str | None,
    entered: dict[str, str],
) -> Template | Redirect:
    of = kind_named(kind)
    fields = fields_of(of, is_new=item is None)
    names = [field.name for field in fields]
    added = ""
    try:
        with book_of(request).database.writing() as connection:
            if item is not None:
                of.read(connection, item)
            read = read_form(connection, entered, fields=fields, body=of.body)
            errors = half_said(entered, of.together) | read.errors
            if not errors and item is not None:
                of.change(connection, item, read.fields, deed)
            elif not errors and of.add is not None:
                added = of.add(connection, read.fields, deed)
    except Exception as error:  # noqa: BLE001 `refused` raises again what is no refusal
        errors = refused(error, names=names)
    if errors:
        return item_form(request, caller, kind, item=item, values=entered, errors=errors)
    there = f"/{quote(added)}?said=added" if added else ""
    return Redirect(f"{PATH}/{kind}{there}", status_code=303)


def _deed(request: Request[Any, Any, Any], account: Account, now: int) -> Deed:
    return Deed(account.id, now, book_of(request).default_zone)


def _action(kind: str, name: str) -> Action:
    actions = kind_named(kind).actions
    if name not in actions:
        raise NotFoundException("no such page")
    return actions[name]


def _texts(form: dict[str, Any]) -> dict[str, str]:
    return {name: text for name, text in form.items() if isinstance(text, str)}


def _skip(page: int) -> int:
    return (page - 1) * ROWS_A_PAGE


ROUTES = Router(
    "/",
    route_handlers=[
        overview_page,
        audit_page,
        list_page,
        new_page,
        add_item,
        item_page,
        change_item,
        question_page,
        do_action,
        *host_reading.HANDLERS,
    ],
)
