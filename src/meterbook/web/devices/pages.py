"""`/devices` and `/devices/{id}`: what sends, what it sent last, whose it is."""

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromQuery, PathParameter, QueryParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.api.devices import DeviceChange, DeviceOwner
from meterbook.inputs.owned_devices import Device, change_device, device_seen, devices_seen
from meterbook.registry.accounts import Account, Role
from meterbook.registry.device_keys import DeviceKey, KeyForm, device_keys_of
from meterbook.web.devices import claiming, keys
from meterbook.web.devices.client_settings import (
    KEY_WANTED,
    ClientSettings,
    settings_of_broker,
    settings_of_key,
)
from meterbook.web.devices.keys import form_choices, here_of
from meterbook.web.devices.shown import INPUTS_ON_A_CARD, PATH, ShownDevice, shown_devices
from meterbook.web.languages import gettext, marked
from meterbook.web.manage.forms import FormField, Shape, read_form, refused
from meterbook.web.pages import rendered, sign_in_first, wants_page

ROWS_A_PAGE = 50
STAFF = (Role.OPERATOR, Role.ADMIN)
ID_MAX = 2**53 - 1
PageNumber = Annotated[int, QueryParameter(name="page", ge=1, le=100_000)]
ItemId = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
FormBody = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
_SAID = {
    "changed": marked("Saved."),
    "given": marked("The device belongs to this account now."),
    "claimed": marked("Claimed. What it has sent so far is in the books or will be in minutes."),
    "ended": marked("The claim is ended. What is in the books stays there."),
    "revoked": marked("The key is worthless from now on."),
}
_CHANGES = (
    FormField("name", marked("Name"), is_required=False, empty=None),
    FormField("zone", marked("Time zone"), is_required=False, empty=None),
)
_OWNER = FormField("user", marked("User"), Shape.ACCOUNT, is_required=False, empty=None)


class DevicesPage(msgspec.Struct, frozen=True):
    """What the list shows."""

    rows: list[ShownDevice]
    number: int
    has_more: bool
    keys: list[DeviceKey]
    forms: list[tuple[str, str]]
    settings: list[ClientSettings]
    is_staff: bool
    said: str
    values: dict[str, str] = {}
    errors: dict[str, str] = {}


class UnclaimedPage(msgspec.Struct, frozen=True):
    """What operators see of everybody's devices."""

    rows: list[ShownDevice]
    number: int
    has_more: bool


class DevicePage(msgspec.Struct, frozen=True):
    """What a device's page shows."""

    device: ShownDevice
    is_own: bool
    may_change: bool
    may_give: bool
    said: str
    values: dict[str, str]
    errors: dict[str, str]


@get(PATH, sync_to_thread=True, include_in_schema=False)
def devices_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    page: PageNumber = 1,
    said: FromQuery[str] = "",
) -> Response[list[Device]] | Template | Redirect:
    """List one's devices, what they sent last, and their keys."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    if not wants_page(request):
        with book_of(request).database.reading() as connection:
            return Response(devices_seen(connection, account_id=account.id))
    return _list(request, caller, account, now=now, number=page, said=said)


@get(f"{PATH}/unclaimed", sync_to_thread=True, include_in_schema=False)
def pool_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    page: PageNumber = 1,
) -> Response[list[Device]] | Template | Redirect:
    """List everybody's devices that have an input nobody has claimed."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    caller.with_role(*STAFF)
    with book_of(request).database.reading() as connection:
        found = devices_seen(connection, unclaimed=True, limit=ROWS_A_PAGE + 1, offset=_skip(page))
        if not wants_page(request):
            return Response(found[:ROWS_A_PAGE])
        rows = shown_devices(connection, found[:ROWS_A_PAGE], now=now, inputs_max=INPUTS_ON_A_CARD)
    shown = UnclaimedPage(rows, page, len(found) > ROWS_A_PAGE)
    return rendered(request, caller, "devices_unclaimed.html", page=shown)


@get(f"{PATH}/{{device_id:int}}", sync_to_thread=True, include_in_schema=False)
def device_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    device_id: ItemId,
    said: FromQuery[str] = "",
) -> Response[Device] | Template | Redirect:
    """Show one device with all its inputs."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    if not wants_page(request):
        with book_of(request).database.reading() as connection:
            return Response(_visible(connection, account, device_id))
    return _device(request, caller, account, device_id, now=now, said=said)


@post(f"{PATH}/{{device_id:int}}", sync_to_thread=True, include_in_schema=False)
def change_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    device_id: ItemId,
    data: FormBody,
) -> Template | Redirect:
    """Change its name or zone, or show the form again with what is wrong beside it."""
    account = caller.signed_in()
    return _changed(request, caller, account, device_id, _CHANGES, data, now=now)


@post(f"{PATH}/{{device_id:int}}/owner", sync_to_thread=True, include_in_schema=False)
def give_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    device_id: ItemId,
    data: FormBody,
) -> Template | Redirect:
    """Give a device to a user, or to nobody."""
    account = caller.with_role(Role.ADMIN)
    return _changed(request, caller, account, device_id, (_OWNER,), data, now=now)


@post(f"{PATH}/keys", sync_to_thread=True, include_in_schema=False)
def make_key(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    data: FormBody,
) -> Template:
    """Make a key and show it this once, or the form again."""
    account = caller.signed_in()
    made, entered, errors = keys.made_key(request, account, data, now=now)
    if made is None:
        return _list(request, caller, account, now=now, values=entered, errors=errors)
    return rendered(request, caller, "device_key.html", page=made)


def _list(
    request: Request[Any, Any, Any],
    caller: Caller,
    account: Account,
    *,
    now: int,
    number: int = 1,
    said: str = "",
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Template:
    here = here_of(request)
    with book_of(request).database.reading() as connection:
        found = devices_seen(
            connection, account_id=account.id, limit=ROWS_A_PAGE + 1, offset=_skip(number)
        )
        rows = shown_devices(connection, found[:ROWS_A_PAGE], now=now, inputs_max=INPUTS_ON_A_CARD)
        own_keys = device_keys_of(connection, account_id=account.id)
    settings = settings_of_broker(here) + [
        one
        for form in KeyForm
        for one in settings_of_key(form, key=KEY_WANTED, user=account.id, here=here)
    ]
    shown = DevicesPage(
        rows,
        number,
        len(found) > ROWS_A_PAGE,
        own_keys,
        form_choices(),
        settings,
        account.role in STAFF,
        gettext(_SAID[said]) if said in _SAID else "",
        values or {},
        errors or {},
    )
    status = 400 if errors else 200
    return rendered(request, caller, "devices.html", page=shown, status_code=status)


def _device(
    request: Request[Any, Any, Any],
    caller: Caller,
    account: Account,
    device_id: int,
    *,
    now: int,
    said: str = "",
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Template:
    with book_of(request).database.reading() as connection:
        device = _visible(connection, account, device_id)
        [shown] = shown_devices(connection, [device], now=now, inputs_max=None)
    fields = {"name": device.name or "", "zone": device.zone or "", "user": shown.owner}
    page = DevicePage(
        device=shown,
        is_own=device.user == account.id,
        may_change=account.role is Role.ADMIN or device.user == account.id,
        may_give=account.role is Role.ADMIN,
        said=gettext(_SAID[said]) if said in _SAID else "",
        values=fields | (values or {}),
        errors=errors or {},
    )
    status = 400 if errors else 200
    return rendered(request, caller, "device.html", page=page, status_code=status)


def _changed(
    request: Request[Any, Any, Any],
    caller: Caller,
    account: Account,
    device_id: int,
    fields: tuple[FormField, ...],
    entered: dict[str, Any],
    *,
    now: int,
) -> Template | Redirect:
    is_gift = fields == (_OWNER,)
    texts = {name: text for name, text in entered.items() if isinstance(text, str)}
    try:
        with book_of(request).database.writing() as connection:
            body = DeviceOwner if is_gift else DeviceChange
            read = read_form(connection, texts, fields=fields, body=body)
            errors = read.errors
            if not errors:
                change_device(
                    connection,
                    device_id=device_id,
                    account_id=None if account.role is Role.ADMIN else account.id,
                    changes=read.fields,
                    by=account.id,
                    now=now,
                )
    except Exception as error:  # noqa: BLE001 `refused` raises again what is no refusal
        errors = refused(error, names=[field.name for field in fields])
    if errors:
        return _device(request, caller, account, device_id, now=now, values=texts, errors=errors)
    said = "given" if is_gift else "changed"
    return Redirect(f"{PATH}/{device_id}?said={said}", status_code=303)


def _visible(connection: sa.Connection, account: Account, device_id: int) -> Device:
    owner = None if account.role in STAFF else account.id
    return device_seen(connection, device_id=device_id, account_id=owner)


def _skip(page: int) -> int:
    return (page - 1) * ROWS_A_PAGE


ROUTES = Router(
    "/",
    route_handlers=[
        devices_page,
        pool_page,
        device_page,
        change_page,
        give_page,
        make_key,
        keys.revoke_key,
        *claiming.HANDLERS,
    ],
)
