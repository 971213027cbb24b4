"""`/register`: a new household with its meter; what was entered is kept, passwords apart."""

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect, Template

from meterbook.access import Caller, book_of, client_address
from meterbook.domain.fin import FinError, check_fin
from meterbook.domain.meter_ids import MeterIdError, dashed, meter_id
from meterbook.registry.accounts import AccountTakenError
from meterbook.registry.new_customers import NewCustomer, known_regions, register_customer
from meterbook.registry.passwords import PASSWORD_CHARACTERS_MAX, WeakPasswordError
from meterbook.registry.refusals import WrongFieldError
from meterbook.web import wrong_fields
from meterbook.web.languages import gettext
from meterbook.web.pages import rendered
from meterbook.web.sign_in import session_cookie

_LENGTHS = {
    "username": 150, "email": 254, "fin": 20, "meter_id": 32,
    "street": 200, "number": 20, "city": 100, "zip_code": 20, "region": 100,
}  # fmt: skip
_NOT_NEEDED = {"region"}


class RegistrationForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    username: str = ""
    email: str = ""
    password: str = ""
    fin: str = ""
    meter_id: str = ""
    street: str = ""
    number: str = ""
    city: str = ""
    zip_code: str = ""
    region: str = ""


class RegisterPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    regions: list[str]
    """Known ones; empty: the field takes any."""
    values: dict[str, str] = {}
    errors: dict[str, str] = {}

    @property
    def region_choices(self) -> list[tuple[str, str]]:
        """The regions as a list to choose from."""
        return [(name, name) for name in self.regions]


@get("/register", sync_to_thread=True, include_in_schema=False)
def register_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller]
) -> Template | Redirect:
    """Show the form; who is signed in has registered."""
    if caller.account is not None:
        return Redirect("/profile", status_code=303)
    return rendered(request, caller, "register.html", page=RegisterPage(_regions(request)))


@post("/register", sync_to_thread=True, include_in_schema=False)
def register(
    request: Request[Any, Any, Any],
    now: NamedDependency[int],
    data: Annotated[RegistrationForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Template | Redirect:
    """Make the account, claim the meter and sign in, or show the form again."""
    written = {name: text.strip() for name, text in msgspec.structs.asdict(data).items()}
    regions = _regions(request)
    errors = _errors(written, regions, password=data.password)
    if not errors:
        try:
            return _registered(request, data.password, written, now=now)
        except (
            AccountTakenError,
            WeakPasswordError,
            WrongFieldError,
            sa.exc.IntegrityError,
        ) as error:
            errors = _refusal(error)
    values = {name: text for name, text in written.items() if name != "password"}
    page = RegisterPage(regions, values, {name: gettext(words) for name, words in errors.items()})
    return rendered(request, Caller(None), "register.html", page=page, status_code=400)


def _registered(
    request: Request[Any, Any, Any], password: str, written: dict[str, str], *, now: int
) -> Redirect:
    book = book_of(request)
    number = meter_id(written["meter_id"])
    fields = {name: written[name] for name in ("username", "email", "fin", "street", "number")}
    customer = NewCustomer(
        **fields,
        password=password,
        meter_id=number,
        city=written["city"],
        zip_code=written["zip_code"],
        region=written["region"] or None,
    )
    _, secret = register_customer(
        book.database,
        book.personal,
        customer=customer,
        address=client_address(request),
        limits=book.attempt_limits,
        session_s=book.session_s_max,
        default_zone=book.default_zone,
        now=now,
    )
    cookies: list[Cookie] = [session_cookie(secret, valid_s=book.session_s_max)]
    return Redirect(f"/profile/{dashed(number)}", status_code=303, cookies=cookies)


def _errors(written: dict[str, str], regions: list[str], *, password: str) -> dict[str, str]:
    """Return what can be told without looking anything up."""
    errors = {}
    for name, longest in _LENGTHS.items():
        if not written[name] and name not in _NOT_NEEDED:
            errors[name] = wrong_fields.NEEDED
        elif len(written[name]) > longest or not written[name].isprintable():
            errors[name] = wrong_fields.TOO_LONG
    if not password:
        errors["password"] = wrong_fields.NEEDED
    elif len(password) > PASSWORD_CHARACTERS_MAX:
        errors["password"] = wrong_fields.PASSWORD_LONG
    if "@" not in written["email"].strip("@") or " " in written["email"]:
        errors.setdefault("email", wrong_fields.EMAIL_WRONG)
    if regions and written["region"] and written["region"] not in regions:
        errors.setdefault("region", wrong_fields.REGION_WRONG)
    try:
        meter_id(written["meter_id"])
    except MeterIdError:
        errors.setdefault("meter_id", wrong_fields.METER_ID_WRONG)
    try:
        check_fin(written["fin"])
    except FinError:
        errors.setdefault("fin", wrong_fields.FIN_WRONG)
    return errors


def _refusal(error: Exception) -> dict[str, str]:
    match error:
        case AccountTakenError(field="email"):
            return {"email": wrong_fields.EMAIL_TAKEN}
        case AccountTakenError():
            return {"username": wrong_fields.NAME_TAKEN}
        case WeakPasswordError():
            return {"password": wrong_fields.PASSWORD_WEAK}
        case WrongFieldError(field="fin"):
            return {"fin": wrong_fields.FIN_WRONG}
        case _:
            return {"meter_id": wrong_fields.CLAIMED}


def _regions(request: Request[Any, Any, Any]) -> list[str]:
    with book_of(request).database.reading() as connection:
        return known_regions(connection)
