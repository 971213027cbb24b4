"""`/devices/{id}/inputs/{id}`: saying what an input's numbers are, and taking it back."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, PathParameter
from litestar.response import Redirect, Response, Template

from meterbook.access import Caller, book_of
from meterbook.api.devices import STEPS_IN_A_CLAIM, Claim
from meterbook.domain.input_mappings import ENERGY_UNITS, Mapping
from meterbook.domain.meter_ids import dashed
from meterbook.domain.readings import Flow
from meterbook.inputs.claims import LENGTHS_S, InputClaim, claim_input, give_back_input, input_seen
from meterbook.inputs.owned_devices import Device, DeviceInput, device_seen
from meterbook.inputs.recording import record_input
from meterbook.queries.claimed_inputs import claimed_inputs
from meterbook.queries.meter_places import meters_of_account
from meterbook.registry.accounts import Account, Role
from meterbook.web.devices.shown import MAPPING_WORDS, PATH, ShownInput, shown_input
from meterbook.web.languages import gettext, marked
from meterbook.web.manage.forms import FormField, Shape, read_form, refused
from meterbook.web.pages import rendered, sign_in_first, wants_page

ID_MAX = 2**53 - 1
INPUT_PATH = f"{PATH}/{{device_id:int}}/inputs/{{input_id:int}}"
ItemId = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
FormBody = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
UNITS = (*ENERGY_UNITS, "W", "kW", "V", "A", "Hz", "°C", "%")
Choices = list[tuple[str, str]]
_SECONDS = 60


class ClaimField(msgspec.Struct, frozen=True):
    """One field of the form, in the reader's language."""

    name: str
    words: str
    hint: str
    is_required: bool
    width: str
    choices: Choices | None
    suggestions: list[str]


class ClaimPage(msgspec.Struct, frozen=True):
    """What the page of an input shows."""

    action: str
    device_path: str
    device_name: str
    input: ShownInput
    may_claim: bool
    is_nobodys: bool
    fields: list[ClaimField]
    more: list[ClaimField]
    """Fields that few inputs need."""
    more_is_open: bool
    values: dict[str, str]
    errors: dict[str, str]


def _mappings() -> Choices:
    return [("", ""), *((name, gettext(words)) for name, words in MAPPING_WORDS.items())]


def _flows() -> Choices:
    return [
        (str(int(Flow.IMPORT)), gettext("used (from the grid)")),
        (str(int(Flow.EXPORT)), gettext("fed in (to the grid)")),
    ]


def _yes_no() -> Choices:
    return [("", gettext("no")), ("true", gettext("yes"))]


def _lengths() -> Choices:
    said = gettext("%(count)s min")
    return [("", ""), *((str(s), said % {"count": s // _SECONDS}) for s in reversed(LENGTHS_S))]


# What is shown at once, and what few need. Each field with what there is to choose from.
_FIELDS: Sequence[tuple[FormField, Callable[[], Choices] | None]] = (
    (FormField("mapping", marked("Its numbers are"), Shape.CHOICE, width="half"), _mappings),
    (
        FormField(
            "unit",
            marked("Unit"),
            hint=marked("As in kWh, Wh, W or V."),
            is_required=False,
            width="half",
        ),
        None,
    ),
    (
        FormField(
            "meter_id",
            marked("Meter ID"),
            Shape.METER,
            marked(
                "The meter whose page shows this energy: one of yours, or a new number of up to "
                "nine digits. Empty: it is kept, and no meter's page shows it."
            ),
            is_required=False,
        ),
        None,
    ),
    (FormField("flow", marked("Energy is"), Shape.CHOICE), _flows),
)
_MORE: Sequence[tuple[FormField, Callable[[], Choices] | None]] = (
    (
        FormField(
            "factor",
            marked("Wh in one count"),
            hint=marked("Of pulses, in place of a unit: 1 or 0.5 or 1/3."),
            is_required=False,
            width="half",
        ),
        None,
    ),
    (
        FormField(
            "length_s",
            marked("Each interval lasts"),
            Shape.CHOICE,
            marked("Of energy of each interval."),
            is_required=False,
            width="half",
        ),
        _lengths,
    ),
    (
        FormField(
            "resets_to_zero",
            marked("Begins at zero after a power cut"),
            Shape.CHOICE,
            is_required=False,
            width="half",
        ),
        _yes_no,
    ),
    (
        FormField(
            "rated_power_w",
            marked("Rated power, W"),
            Shape.WHOLE,
            marked("Of a counter that carries more than 1 MW."),
            is_required=False,
            width="half",
        ),
        None,
    ),
    (
        FormField(
            "measurement",
            marked("Measurement"),
            hint=marked("What to call it; empty: active_energy, or the input's name."),
            is_required=False,
        ),
        None,
    ),
)
_ALL = [field for field, _ in (*_FIELDS, *_MORE)]
_MORE_NAMES = {field.name for field, _ in _MORE}


@get(INPUT_PATH, sync_to_thread=True, include_in_schema=False)
def claim_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    device_id: ItemId,
    input_id: ItemId,
) -> Response[DeviceInput] | Template | Redirect:
    """Show an input, and the form that claims it."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    account = caller.signed_in()
    if not wants_page(request):
        owner = None if account.sees_every_meter else account.id
        with book_of(request).database.reading() as connection:
            return Response(
                input_seen(connection, device_id=device_id, input_id=input_id, account_id=owner)
            )
    return _page(request, caller, account, (device_id, input_id), now=now)


@post(INPUT_PATH, sync_to_thread=True, include_in_schema=False)
def claim_by_form(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    device_id: ItemId,
    input_id: ItemId,
    data: FormBody,
) -> Template | Redirect:
    """Claim an input, or show the form again with what is wrong beside it."""
    account = caller.signed_in()
    book = book_of(request)
    texts = {name: text for name, text in data.items() if isinstance(text, str)}
    try:
        with book.database.writing() as connection:
            read = read_form(connection, texts, fields=_ALL, body=Claim)
            errors = read.errors
            if not errors:
                claim_input(
                    connection,
                    device_id=device_id,
                    input_id=input_id,
                    account_id=_owner(account),
                    claim=msgspec.convert(read.fields, InputClaim),
                    default_zone=book.default_zone,
                    by=account.id,
                    now=now,
                )
    except Exception as error:  # noqa: BLE001 `refused` raises again what is no refusal
        errors = refused(error, names=[field.name for field in _ALL])
    if errors:
        there = (device_id, input_id)
        return _page(request, caller, account, there, now=now, values=texts, errors=errors)
    record_input(book.database, input_id=input_id, now=now, steps_max=STEPS_IN_A_CLAIM)
    return Redirect(f"{PATH}/{device_id}?said=claimed", status_code=303)


@post(f"{INPUT_PATH}/end", sync_to_thread=True, include_in_schema=False)
def end_claim(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    device_id: ItemId,
    input_id: ItemId,
) -> Redirect:
    """End a claim; what is in the books stays."""
    account = caller.signed_in()
    with book_of(request).database.writing() as connection:
        give_back_input(
            connection,
            device_id=device_id,
            input_id=input_id,
            account_id=_owner(account),
            by=account.id,
            now=now,
        )
    return Redirect(f"{PATH}/{device_id}?said=ended", status_code=303)


HANDLERS = (claim_page, claim_by_form, end_claim)


def _page(
    request: Request[Any, Any, Any],
    caller: Caller,
    account: Account,
    there: tuple[int, int],
    *,
    now: int,
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Template:
    device_id, input_id = there
    owner = None if account.sees_every_meter else account.id
    with book_of(request).database.reading() as connection:
        found = input_seen(connection, device_id=device_id, input_id=input_id, account_id=owner)
        device = device_seen(connection, device_id=device_id)
        place = claimed_inputs(connection, device_ids=[device_id]).get(input_id)
        meters = _meters(connection, device)
    wrong = errors or {}
    page = ClaimPage(
        action=f"{PATH}/{device_id}/inputs/{input_id}",
        device_path=f"{PATH}/{device_id}",
        device_name=device.name or device.foreign_id,
        input=shown_input(device, found, place, now),
        may_claim=account.role is Role.ADMIN or device.user == account.id,
        is_nobodys=device.user is None,
        fields=[_shown(field, choices, meters) for field, choices in _FIELDS],
        more=[_shown(field, choices, meters) for field, choices in _MORE],
        more_is_open=not _MORE_NAMES.isdisjoint(wrong),
        values=values if values is not None else _announced(found, meters),
        errors=wrong,
    )
    status = 400 if wrong else 200
    return rendered(request, caller, "device_claim.html", page=page, status_code=status)


def _announced(found: DeviceInput, meters: list[str]) -> dict[str, str]:
    """Return what the form says at first: what the device announced, and the only meter."""
    is_energy = found.suggested in {Mapping.COUNTER, Mapping.INTERVAL}
    return {
        "mapping": found.suggested or "",
        "unit": found.unit or "",
        "meter_id": meters[0] if is_energy and len(meters) == 1 else "",
    }


def _meters(connection: sa.Connection, device: Device) -> list[str]:
    if device.user is None:
        return []
    found = meters_of_account(connection, account_id=device.user)
    return [dashed(number) for number in dict.fromkeys(found)]


def _shown(
    field: FormField, choices: Callable[[], Choices] | None, meters: list[str]
) -> ClaimField:
    return ClaimField(
        field.name,
        gettext(field.words),
        gettext(field.hint) if field.hint else "",
        field.is_required,
        field.width,
        None if choices is None else choices(),
        {"unit": list(UNITS), "meter_id": meters}.get(field.name, []),
    )


def _owner(account: Account) -> int | None:
    return None if account.role is Role.ADMIN else account.id
