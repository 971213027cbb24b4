"""`/files`: a file by drag and drop, looked at first, then stored; and all of one's data."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect, Stream, Template

from meterbook.access import Book, Caller, book_of
from meterbook.domain.import_reports import ImportReport, ImportWish
from meterbook.exports.selection import Selection
from meterbook.exports.temporary import temporary_file
from meterbook.intake.files.formats import FORMATS, SEED_FORMATS
from meterbook.queries.meter_places import meters_of_account
from meterbook.registry.accounts import Account
from meterbook.registry.import_log import LoggedImport, logged_imports
from meterbook.web.languages import gettext
from meterbook.web.pages import rendered, sign_in_first, wants_page

PATH = "/files"
SHOWN_MAX = 10
BODY_BYTES_MAX = 1 << 40  # METERBOOK_UPLOAD_BYTES_MAX is looked at while the file is kept
CHUNK_BYTES = 1 << 20
_ASKED = ("format", "meter", "unit", "dates", "stamp", "stamps_zone", "energy")


class ImportsPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    imports: list[LoggedImport]
    """The newest."""
    report: ImportReport | None = None
    """Of the file just sent."""
    values: dict[str, str] = {}
    """What was entered, by field."""
    errors: dict[str, str] = {}

    @property
    def formats(self) -> list[tuple[str, str]]:
        """The formats to choose from."""
        names = (*FORMATS, *SEED_FORMATS)
        return [("auto", gettext("as the file shows")), *((name, name) for name in names)]


class ImportForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    file: UploadFile | None = None
    what: str = "look"
    """look: only say what would become of it; store."""
    format: str = "auto"
    meter: str = ""
    unit: str = ""
    dates: str = ""
    stamp: str = ""
    stamps_zone: str = ""
    energy: str = ""


@get(PATH, sync_to_thread=True, include_in_schema=False)
def imports_page(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller]
) -> Template | Redirect:
    """Show the form and what was imported."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    page = ImportsPage(_logged(book_of(request), caller.signed_in()))
    return rendered(request, caller, "imports.html", page=page)


@post(PATH, include_in_schema=False, request_max_body_size=BODY_BYTES_MAX)
async def import_by_form(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    data: Annotated[ImportForm, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> Template:
    """Look at a file or store it, and show its report."""
    account = caller.signed_in()
    book = book_of(request)
    values = {name: getattr(data, name) for name in _ASKED}
    errors, report = {}, None
    with tempfile.TemporaryDirectory(prefix="meterbook-import-") as folder:
        path = Path(folder) / "file"
        if data.file is None or not data.file.filename:
            errors["file"] = gettext("Choose a file.")
        elif not await _kept(data.file, path, bytes_max=book.upload_bytes_max):
            errors["file"] = gettext("The file is too large.")
        else:
            wish = await asyncio.to_thread(_wish, book, account, data, path, now)
            report = await asyncio.to_thread(book.import_file, wish)
    logged = await asyncio.to_thread(_logged, book, account)
    refused = bool(errors) or (report is not None and report.status == "refused")
    page = ImportsPage(logged, report, values, errors)
    return rendered(request, caller, "imports.html", page=page, status_code=400 if refused else 200)


@get("/files/all", sync_to_thread=True, include_in_schema=False)
def my_readings(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[int]
) -> Stream | Redirect:
    """Send all readings of one's own meters, as an archive."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    selection = Selection(account_id=caller.signed_in().id)
    with book_of(request).database.reading() as connection:
        content = temporary_file(connection, "zip", selection, now=now)
    disposition = 'attachment; filename="meterbook.zip"'
    return Stream(
        content, media_type="application/zip", headers={"Content-Disposition": disposition}
    )


def _logged(book: Book, account: Account) -> list[LoggedImport]:
    with book.database.reading() as connection:
        return logged_imports(
            connection,
            account_id=None if account.sees_every_meter else account.id,
            limit=SHOWN_MAX,
        )


async def _kept(file: UploadFile, path: Path, *, bytes_max: int) -> bool:
    with path.open("wb") as out:
        while chunk := await file.read(CHUNK_BYTES):
            if out.tell() + len(chunk) > bytes_max:
                return False
            out.write(chunk)
    return True


def _wish(book: Book, account: Account, form: ImportForm, path: Path, now: int) -> ImportWish:
    own = None
    if not account.sees_every_meter:
        with book.database.reading() as connection:
            own = frozenset(meters_of_account(connection, account_id=account.id))
    return ImportWish(
        path=path,
        file_name=(form.file.filename if form.file else "")[-200:],
        now=now,
        account_id=account.id,
        own_meters=own,
        format=form.format or "auto",
        meters=tuple(form.meter.split()),
        stamps_zone=form.stamps_zone.strip() or None,
        stamp=form.stamp or None,
        unit=form.unit or None,
        dates=form.dates or None,
        energy=tuple(filter(None, [form.energy.strip()])),
        dry_run=form.what != "store",
    )
