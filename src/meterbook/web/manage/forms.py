"""
Forms of the admin pages: what was typed becomes a body of the API, or a sentence beside the field.

The bodies' own limits decide what may be entered; this module only words what they refuse.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from meterbook.domain.meter_ids import meter_id
from meterbook.registry.accounts import AccountTakenError, account_id_of_name
from meterbook.registry.refusals import InUseError, WrongFieldError
from meterbook.storage.dialects import taken_columns
from meterbook.web.languages import gettext, marked
from meterbook.web.wrong_fields import METER_ID_WRONG

Choices = Callable[[sa.Connection], Sequence[tuple[str, str]]]
Entered = Mapping[str, str]
_FIELD_OF = {
    "account_id": "user",
    "location_id": "location",
    "meter_model_id": "meter",
    "name": "measurement",
}


class Shape(Enum):
    """What is typed into a field."""

    TEXT = "text"
    WHOLE = "whole"
    DECIMAL = "decimal"
    WHOLES = "wholes"
    """Whole numbers with commas between them."""
    CHOICE = "choice"
    ACCOUNT = "account"
    """An account's name."""
    METER = "meter"
    """A meter ID, with or without dashes."""


class FormField(msgspec.Struct, frozen=True):
    """One field of a form."""

    name: str
    words: str
    """Marked for the catalogues."""
    shape: Shape = Shape.TEXT
    hint: str = ""
    is_required: bool = True
    choices: Choices | None = None
    width: str = ""
    only_new: bool = False
    """Cannot be changed once it is there."""
    empty: str | UnsetType | None = UNSET
    """What an empty field says; unset: nothing."""


class Read(msgspec.Struct, frozen=True):
    """What a form said."""

    fields: dict[str, Any]
    """Named as the API's body names them."""
    errors: dict[str, str]
    """Field to sentence."""


def read_form(
    connection: sa.Connection,
    entered: Entered,
    *,
    fields: Sequence[FormField],
    body: type[msgspec.Struct],
) -> Read:
    """Return what was entered as fields of the body, or why it cannot be."""
    kinds = {field.encode_name: _plain(field.type) for field in msgspec.structs.fields(body)}
    found: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in fields:
        text = entered.get(field.name, "").strip()
        try:
            if text:
                found[field.name] = _content(connection, text, field, kinds[field.name])
            elif field.is_required:
                errors[field.name] = gettext("Fill this in.")
            elif field.empty is not UNSET:
                found[field.name] = field.empty
        except (msgspec.ValidationError, ValueError):
            errors[field.name] = _refusal(field, kinds[field.name])
    return Read(found, errors)


def half_said(entered: Entered, together: Sequence[str]) -> dict[str, str]:
    """Return what is wrong with fields that say something only together."""
    empty = [name for name in together if not entered.get(name, "").strip()]
    if len(empty) == len(together):
        return {}
    return dict.fromkeys(empty, gettext("Fill this in too, or leave both empty."))


def refused(error: Exception, *, names: Sequence[str]) -> dict[str, str]:
    """
    Return why the registry refused, field by field; under '' what is of no field of the form.

    :raises Exception: the error itself, if it is no refusal.
    """
    match error:
        case WrongFieldError():
            where = error.field if error.field in names else ""
            return {where: gettext("This cannot be: %(reason)s.") % {"reason": error.reason}}
        case AccountTakenError():
            return {error.field: gettext("Another account has it.")}
        case InUseError():
            return {"": gettext("Not possible: %(reason)s.") % {"reason": str(error)}}
        case sa.exc.IntegrityError():
            taken = [_FIELD_OF.get(column, column) for column in taken_columns(error)]
            known = [name for name in (*taken, *taken_columns(error)) if name in names]
            if len(known) == 1:
                return {known[0]: gettext("There is another one with this already.")}
            return {"": gettext("There is one like this already.")}
        case _:
            raise error


def _content(connection: sa.Connection, text: str, field: FormField, kind: Any) -> Any:
    content: Any = text
    match field.shape:
        case Shape.WHOLE | Shape.CHOICE if text.lstrip("-").isdigit():
            content = int(text)
        case Shape.DECIMAL:
            content = float(text.replace(",", "."))
        case Shape.WHOLES:
            content = [int(part) for part in text.replace(" ", "").split(",")]
        case Shape.ACCOUNT:
            content = _account_id(connection, text)
        case Shape.METER:
            content = meter_id(text)
    return msgspec.to_builtins(msgspec.convert(content, kind, strict=False))


def _account_id(connection: sa.Connection, name: str) -> int:
    account_id = account_id_of_name(connection, username=name)
    if account_id is None:
        raise ValueError(name)
    return account_id


_REFUSALS = {
    Shape.ACCOUNT: marked("There is no account of that name."),
    Shape.WHOLE: marked("Enter a number."),
    Shape.DECIMAL: marked("Enter a number."),
    Shape.WHOLES: marked("Enter whole numbers with commas between them."),
    Shape.CHOICE: marked("Choose one of the list."),
    Shape.TEXT: marked("This cannot be used here."),
    Shape.METER: METER_ID_WRONG,
}


def _refusal(field: FormField, kind: Any) -> str:
    limits = _limits(kind)
    if field.shape is Shape.WHOLE and limits.ge is not None and limits.le is not None:
        said = gettext("Enter a whole number from %(least)s to %(most)s.")
        return said % {"least": limits.ge, "most": limits.le}
    if field.shape is Shape.TEXT and limits.max_length:
        said = gettext("Enter at most %(most)s characters, without line breaks.")
        return said % {"most": limits.max_length}
    return gettext(_REFUSALS[field.shape])


def _plain(kind: Any) -> Any:
    """Return the type without "left out"."""
    if get_origin(kind) is Annotated:
        return kind
    return Union[tuple(part for part in get_args(kind) or (kind,) if part is not UnsetType)]  # noqa: UP007 of parts known only now


def _limits(kind: Any) -> msgspec.Meta:
    for part in (kind,) if get_origin(kind) is Annotated else get_args(kind) or (kind,):
        for extra in getattr(part, "__metadata__", ()):
            if isinstance(extra, msgspec.Meta):
                return extra
    return msgspec.Meta()
