"""`/imports`: files in over HTTP; the report is the one the command line prints."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromQuery, QueryParameter

from meterbook.access import Book, Visit
from meterbook.api.wire import NO_CONTROLS, Limit, Offset
from meterbook.arriving import ArrivingFile
from meterbook.domain.import_reports import ImportReport, ImportWish
from meterbook.problems import PROBLEM_JSON, TITLES, Problem
from meterbook.queries.meter_places import meters_of_account
from meterbook.registry.import_log import LoggedImport, logged_imports

PATH = "/imports"
BODY_BYTES_MAX = 1 << 40  # METERBOOK_UPLOAD_BYTES_MAX is looked at while the body comes in
NAME_CHARACTERS_MAX = 200
_turns = asyncio.Semaphore(2)  # files are read with both cores anyway
_ahead = asyncio.Semaphore(1)  # each keeps a thread waiting, and imports need threads, too

Zone = Annotated[str | None, QueryParameter(max_length=64, pattern=NO_CONTROLS)]
Words = Annotated[list[str] | None, QueryParameter(max_items=1_000)]


class ImportProblem(Problem, frozen=True, omit_defaults=True):
    """The problem document of a file that was refused: nothing of it was stored."""

    report: ImportReport | None = None


@post(
    PATH,
    status_code=200,
    request_max_body_size=BODY_BYTES_MAX,
    summary="Import a file of readings, as the body or as a form's file",
)
async def import_file(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    format: Annotated[str, QueryParameter(max_length=20)] = "auto",  # noqa: A002 the query's name
    meter: Words = None,
    zone: Zone = None,
    stamps_zone: Zone = None,
    stamp: FromQuery[Literal["start", "end"] | None] = None,
    unit: FromQuery[Literal["wh", "kwh", "mwh", "kw"] | None] = None,
    dates: FromQuery[Literal["ymd", "dmy", "mdy"] | None] = None,
    energy: Words = None,
    day: FromQuery[date | None] = None,
    partial: FromQuery[bool] = False,  # noqa: FBT002 Litestar calls by name
    dry_run: FromQuery[bool] = False,  # noqa: FBT002 the same
) -> Response[ImportReport | ImportProblem]:
    """
    Store a file whole, or say why not; `dry_run=true` only says what would become of it.

    The format is found by itself, also in zip, gzip and zstd. A household imports into its own
    meters: `meter=12`, or `meter=NAME=12`, says which one a name in the file means. `day` is
    that of a recovery file whose name does not say it.
    """
    own, account_id = await asyncio.to_thread(_own_meters, visit)
    file = await _form_file(request, bytes_max=visit.book.upload_bytes_max)
    with tempfile.TemporaryDirectory(prefix="meterbook-import-") as folder:
        wish = ImportWish(
            path=Path(folder) / "file",
            file_name=file.filename[-NAME_CHARACTERS_MAX:] if file else "upload",
            now=visit.now,
            account_id=account_id,
            own_meters=own,
            format=format,
            meters=tuple(meter or ()),
            zone=zone,
            stamps_zone=stamps_zone,
            stamp=stamp,
            unit=unit,
            dates=dates,
            energy=tuple(energy or ()),
            day=day,
            partial=partial,
            dry_run=dry_run,
        )
        report = await _imported(_chunks(request, file), visit.book, wish)
    if report.status != "refused":
        return Response(report)
    refused = ImportProblem(400, TITLES[400], report.problem or "", report=report)
    return Response(refused, status_code=400, media_type=PROBLEM_JSON)


@get(PATH, sync_to_thread=True, summary="Files that were imported")
def imported_files(
    visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0
) -> list[LoggedImport]:
    """List imports, newest first; a household sees its own."""
    with visit.reading() as (connection, account):
        return logged_imports(
            connection,
            account_id=None if account.sees_every_meter else account.id,
            limit=limit,
            offset=offset,
        )


async def _imported(chunks: AsyncIterator[bytes], book: Book, wish: ImportWish) -> ImportReport:
    """
    Import a file; one at a time is read while it arrives, and stored when it is whole.

    :raises HTTPException: if it is too large.
    """
    with ArrivingFile(wish.path) as arriving:
        wish = msgspec.structs.replace(wish, arriving=arriving)
        if _ahead.locked():  # perhaps by somebody whose file takes hours
            await _put(chunks, arriving, bytes_max=book.upload_bytes_max)
            async with _turns:
                arriving.finish()
                return await asyncio.to_thread(book.import_file, wish)
        async with _ahead:
            importing = asyncio.create_task(asyncio.to_thread(book.import_file, wish))
            try:
                await _put(chunks, arriving, bytes_max=book.upload_bytes_max)
                async with _turns:
                    arriving.finish()
                    return await importing
            finally:
                importing.cancel()  # of a file that is broken off; another one is done


async def _put(chunks: AsyncIterator[bytes], arriving: ArrivingFile, *, bytes_max: int) -> None:
    async for chunk in chunks:
        if arriving.size_bytes + len(chunk) > bytes_max:
            raise _too_large(bytes_max)
        arriving.put(chunk)


async def _chunks(request: Request[Any, Any, Any], file: UploadFile | None) -> AsyncIterator[bytes]:
    if file is None:
        async for chunk in request.stream():
            yield chunk
        return
    while chunk := await file.read(1 << 20):
        yield chunk


async def _form_file(request: Request[Any, Any, Any], *, bytes_max: int) -> UploadFile | None:
    """
    Return the file of a form; None where the body is no form.

    :raises HTTPException: if it is too large, or there is none in the form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return None
    if int(request.headers.get("content-length", "0") or 0) > bytes_max + (1 << 20):
        raise _too_large(bytes_max)
    form = await request.form()
    files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
    if len(files) != 1:
        raise HTTPException(status_code=400, detail="the form must carry one file")
    return files[0]


def _too_large(bytes_max: int) -> HTTPException:
    return HTTPException(status_code=413, detail=f"the file is larger than {bytes_max} bytes")


def _own_meters(visit: Visit) -> tuple[frozenset[int] | None, int]:
    with visit.reading() as (connection, account):
        if account.sees_every_meter:
            return None, account.id
        return frozenset(meters_of_account(connection, account_id=account.id)), account.id
