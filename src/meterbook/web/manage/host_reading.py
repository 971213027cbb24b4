"""
What is read from a host, below its form under `/manage`: ticked, tried once, or discovered.

A host without measurements is never polled, however well its form is filled in.
"""

import asyncio
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, FromPath
from litestar.response import Redirect, Template

from meterbook.access import Book, Caller, book_of
from meterbook.domain.host_probes import HostProbe
from meterbook.registry.accounts import Role
from meterbook.registry.host_measurements import (
    assign_measurements,
    measurements_of_host,
    unassign_measurements,
)
from meterbook.registry.hosts import host
from meterbook.registry.meter_models import meter_model
from meterbook.registry.poll_plans import PolledHost, whole_host
from meterbook.registry.refusals import WrongFieldError
from meterbook.registry.sunspec_layouts import NotDiscoveredError, SunSpecDevice, adopt_device
from meterbook.web.hosts import FAILURE_WORDS
from meterbook.web.languages import gettext
from meterbook.web.manage.item_number import number
from meterbook.web.measured import measurement_words
from meterbook.web.pages import rendered

PATH = "/manage/{kind:str}/{item:str}"
_SUNSPEC = "sunspec"  # what models of devices that can be asked what they have are called
Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Offered(msgspec.Struct, frozen=True):
    """One measurement that the host's model has a register for."""

    name: str
    words: str
    unit: str
    is_read: bool


class HostReading(msgspec.Struct, frozen=True):
    """What is read from a host and what could be."""

    host: int
    offered: list[Offered]
    is_read: bool
    is_sunspec: bool


class ProbedRow(msgspec.Struct, frozen=True):
    """One register, as it answered."""

    words: str
    register: str
    """Function code and address."""
    raw: str
    number: str
    failure: str


class ProbePage(msgspec.Struct, frozen=True):
    """What reading a host once has shown, or why nothing could be asked."""

    host: int
    title: str
    probe: HostProbe | None
    rows: list[ProbedRow]
    refused: str = ""


def host_reading(connection: sa.Connection, item: str) -> HostReading:
    """
    Return what is read from a host and what its model offers.

    :raises NotThereError: if there is no such host.
    """
    host_id = number(item, "host")
    whole = whole_host(connection, host_id=host_id)
    read = {row.measurement for row in measurements_of_host(connection, host_id=host_id)}
    model = meter_model(connection, meter_model_id=host(connection, host_id=host_id).meter)
    offered = [
        Offered(
            register.measurement,
            measurement_words(register.measurement),
            register.unit,
            register.measurement in read,
        )
        for register in whole.registers
    ]
    return HostReading(host_id, offered, bool(read), model.name.split()[0].startswith(_SUNSPEC))


@post(f"{PATH}/measurements", sync_to_thread=True, include_in_schema=False)
def choose_measurements(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    kind: FromPath[str],
    item: FromPath[str],
    data: Form,
) -> Redirect:
    """Read from the host what is ticked, and nothing else."""
    account = caller.with_role(Role.ADMIN)
    host_id = _host_id(kind, item)
    ticked = data.get("measurement", [])
    names = [ticked] if isinstance(ticked, str) else [str(name) for name in ticked]
    book = book_of(request)
    with book.database.writing() as connection:
        read = {row.measurement for row in measurements_of_host(connection, host_id=host_id)}
        if names:
            assign_measurements(
                connection,
                host_id=host_id,
                names=names,
                zone=book.default_zone,
                by=account.id,
                now=now,
            )
        unassign_measurements(
            connection, host_id=host_id, names=sorted(read - set(names)), by=account.id, now=now
        )
    return Redirect(f"/manage/hosts/{host_id}?said=assigned", status_code=303)


@post(f"{PATH}/probe", include_in_schema=False)
async def probe_now(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    kind: FromPath[str],
    item: FromPath[str],
) -> Template:
    """Read every register of the host's model once and show what came."""
    caller.with_role(Role.ADMIN)
    book = book_of(request)
    whole = await asyncio.to_thread(_whole_host, book, _host_id(kind, item))
    probe = await book.probe(whole)
    page = ProbePage(whole.host_id, gettext("Read once"), probe, _rows(probe))
    return rendered(request, caller, "manage_probe.html", page=page)


@post(f"{PATH}/discover", include_in_schema=False)
async def discover_now(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    kind: FromPath[str],
    item: FromPath[str],
) -> Template | Redirect:
    """Ask a SunSpec host what it has; it is of a fitting model from then on."""
    account = caller.with_role(Role.ADMIN)
    book = book_of(request)
    whole = await asyncio.to_thread(_whole_host, book, _host_id(kind, item))
    try:
        device = await book.discover(whole)
        await asyncio.to_thread(_adopt, book, whole.host_id, device, account.id, now)
    except (NotDiscoveredError, WrongFieldError) as error:
        page = ProbePage(whole.host_id, gettext("Discover"), None, [], refused=str(error))
        return rendered(request, caller, "manage_probe.html", page=page, status_code=409)
    return Redirect(f"/manage/hosts/{whole.host_id}?said=discovered", status_code=303)


def _adopt(book: Book, host_id: int, device: SunSpecDevice, by: int, now: int) -> None:
    with book.database.writing() as connection:
        adopt_device(connection, host_id=host_id, device=device, by=by, now=now)


def _whole_host(book: Book, host_id: int) -> PolledHost:
    with book.database.reading() as connection:
        return whole_host(connection, host_id=host_id)


def _host_id(kind: str, item: str) -> int:
    if kind != "hosts":
        raise NotFoundException("no such page")
    return number(item, "host")


def _rows(probe: HostProbe) -> list[ProbedRow]:
    return [
        ProbedRow(
            measurement_words(one.measurement),
            f"{one.function_code}: {one.address}",
            " ".join(one.words),
            f"{one.number} {one.unit}".rstrip() if one.number is not None else "",
            gettext(FAILURE_WORDS[one.failure]) if one.failure else "",
        )
        for one in probe.registers
    ]


HANDLERS = (choose_measurements, probe_now, discover_now)
