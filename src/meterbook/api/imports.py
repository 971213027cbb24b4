"""`/imports`: files in over HTTP; the report is the one the command line prints."""

import asyncio
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromQuery, QueryParameter

from meterbook.access import Visit
from meterbook.api.wire import NO_CONTROLS, Limit, Offset
from meterbook.domain.import_reports import ImportReport, ImportWish
from meterbook.problems import PROBLEM_JSON, TITLES, Problem
from meterbook.queries.meter_places import meters_of_account
from meterbook.registry.import_log import LoggedImport, logged_imports

BODY_BYTES_MAX = 1 << 40  # METERBOOK_UPLOAD_BYTES_MAX is looked at while the body comes in
NAME_CHARACTERS_MAX = 200
_turns = asyncio.Semaphore(2)  # files are read with both cores anyway

Zone = Annotated[str | None, QueryParameter(max_length=64, pattern=NO_CONTROLS)]
Words = Annotated[list[str] | None, QueryParameter(max_items=1_000)]


class ImportProblem(Problem, frozen=True, omit_defaults=True):
    """The problem document of a file that was refused: nothing of it was stored."""

    report: ImportReport | None = None


@post(
    "/imports",
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
    with tempfile.TemporaryDirectory(prefix="meterbook-import-") as folder:
        path = Path(folder) / "file"
        name = await received(request, path, bytes_max=visit.book.upload_bytes_max)
        wish = ImportWish(
            path=path,
            file_name=name,
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
        async with _turns:
            report = await asyncio.to_thread(visit.book.import_file, wish)
    if report.status != "refused":
        return Response(report)
    refused = ImportProblem(400, TITLES[400], report.problem or "", report=report)
    return Response(refused, status_code=400, media_type=PROBLEM_JSON)


@get("/imports", sync_to_thread=True, summary="Files that were imported")
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


async def received(request: Request[Any, Any, Any], path: Path, *, bytes_max: int) -> str:
    """
    Keep the file a request carries, as its body or in a form, and return its name.

    :raises HTTPException: if it is too large, or there is none in the form.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        if int(request.headers.get("content-length", "0") or 0) > bytes_max + (1 << 20):
            raise _too_large(bytes_max)
        form = await request.form()
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if len(files) != 1:
            raise HTTPException(status_code=400, detail="the form must carry one file")
        with path.open("wb") as out:
            while chunk := await files[0].read(1 << 20):
                _write(out, chunk, bytes_max)
        return files[0].filename[-NAME_CHARACTERS_MAX:]
    with path.open("wb") as out:
        async for chunk in request.stream():
            _write(out, chunk, bytes_max)
    return "upload"


def _write(out: Any, chunk: bytes, bytes_max: int) -> None:
    if out.tell() + len(chunk) > bytes_max:
        raise _too_large(bytes_max)
    out.write(chunk)


def _too_large(bytes_max: int) -> HTTPException:
    return HTTPException(status_code=413, detail=f"the file is larger than {bytes_max} bytes")


def _own_meters(visit: Visit) -> tuple[frozenset[int] | None, int]:
    with visit.reading() as (connection, account):
        if account.sees_every_meter:
            return None, account.id
        return frozenset(meters_of_account(connection, account_id=account.id)), account.id
