"""Keys of devices: made, shown this once with what to type where, revoked."""

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import PathParameter
from litestar.response import Redirect

from meterbook.access import Caller, book_of, came_by_tls
from meterbook.api.devices import WantedKey
from meterbook.registry.accounts import Account
from meterbook.registry.device_keys import KeyForm, give_device_key, revoke_device_key
from meterbook.web.devices.client_settings import ClientSettings, Here, settings_of_key
from meterbook.web.devices.shown import PATH
from meterbook.web.languages import gettext, marked
from meterbook.web.manage.forms import FormField, Shape, read_form, refused

ID_MAX = 2**53 - 1
FORM_WORDS = {
    KeyForm.HEX32: marked("emonHub, IoTaWatt, Telegraf, Home Assistant, InfluxDB clients"),
    KeyForm.TOKEN20: marked("ThingsBoard devices"),
    KeyForm.UUID: "vzlogger",
}
_FIELDS = (
    FormField("label", marked("Label")),
    FormField("form", marked("For"), Shape.CHOICE),
)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class KeyPage(msgspec.Struct, frozen=True):
    """A key, shown this once."""

    label: str
    key: str
    user: int
    settings: list[ClientSettings]


def form_choices() -> list[tuple[str, str]]:
    """Return the forms of keys to choose from, by what they are for."""
    return [(form.value, gettext(words)) for form, words in FORM_WORDS.items()]


def made_key(
    request: Request[Any, Any, Any], account: Account, entered: dict[str, Any], *, now: int
) -> tuple[KeyPage | None, dict[str, str], dict[str, str]]:
    """Return the page of a new key, or None with what was entered and why not."""
    texts = {name: text for name, text in entered.items() if isinstance(text, str)}
    book = book_of(request)
    try:
        with book.database.writing() as connection:
            read = read_form(connection, texts, fields=_FIELDS, body=WantedKey)
            if read.errors:
                return None, texts, read.errors
            made = give_device_key(
                connection,
                book.personal,
                account_id=account.id,
                label=read.fields["label"],
                form=KeyForm(read.fields["form"]),
                now=now,
            )
    except Exception as error:  # noqa: BLE001 `refused` raises again what is no refusal
        return None, texts, refused(error, names=())
    settings = settings_of_key(made.form, key=made.key, user=made.user, here=here_of(request))
    return KeyPage(made.label, made.key, made.user, settings), {}, {}


@post(f"{PATH}/keys/{{key_id:int}}/revoke", sync_to_thread=True, include_in_schema=False)
def revoke_key(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    key_id: Annotated[int, PathParameter(ge=1, le=ID_MAX)],
) -> Redirect:
    """Make one of one's keys worthless."""
    account = caller.signed_in()
    with book_of(request).database.writing() as connection:
        revoke_device_key(connection, key_id=key_id, account_id=account.id, now=now)
    return Redirect(f"{PATH}?said=revoked", status_code=303)


def here_of(request: Request[Any, Any, Any]) -> Here:
    """Return where devices reach this server: where the reader's browser does."""
    book = book_of(request)
    is_encrypted = came_by_tls(request.scope, proxies=book.trusted_proxies)
    scheme = "https" if is_encrypted else "http"
    address = urlsplit(f"{scheme}://{request.headers.get('host', '')}")
    try:
        host, port = address.hostname or "localhost", address.port
    except ValueError:
        host, port = "localhost", None
    shown = f"[{host}]" if ":" in host else host
    broker_host, broker_port = book.broker
    return Here(
        url=f"{scheme}://{shown}" + (f":{port}" if port else ""),
        host=host,
        port=port or (443 if is_encrypted else 80),
        is_encrypted=is_encrypted,
        broker_host=host if broker_host in _LOOPBACK else broker_host,
        broker_port=broker_port,
    )
