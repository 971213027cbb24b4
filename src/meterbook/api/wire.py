"""What bodies and parameters may hold: limits that the schema shows and every route keeps."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar.params import PathParameter, QueryParameter

ID_MAX = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly
ROWS_MAX = 10_000
# Python's `$` also matches before a last line break, JSON Schema's does not: the end in both.
END = r"$(?!\n)"
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*" + END
MEASUREMENT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*" + END

Id = Annotated[int, msgspec.Meta(ge=1, le=ID_MAX)]
ItemId = Annotated[int, PathParameter(ge=1, le=ID_MAX)]
MeterId = Annotated[int, msgspec.Meta(ge=1, le=999_999_999, examples=[999999999])]
Limit = Annotated[int | None, QueryParameter(ge=1, le=ROWS_MAX, description="At most so many.")]
Offset = Annotated[int, QueryParameter(ge=0, le=ID_MAX, description="Skip so many.")]

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=NO_CONTROLS)]
TextOrNone = Annotated[str, msgspec.Meta(max_length=200, pattern=NO_CONTROLS)]
Username = Annotated[
    str, msgspec.Meta(min_length=1, max_length=150, pattern=NO_CONTROLS, examples=["johndoe"])
]
Email = Annotated[
    str,
    msgspec.Meta(
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+" + END,
        examples=["johndoe@example.com"],
    ),
]
Password = Annotated[str, msgspec.Meta(max_length=4096, examples=["strong-password"])]
MeasurementName = Annotated[
    str, msgspec.Meta(max_length=64, pattern=MEASUREMENT_NAME, examples=["current"])
]
Coordinate = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class Flow(StrEnum):
    """Which way the energy goes, as the customer sees it."""

    IMPORT = "import"
    EXPORT = "export"


def given(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields the body has, under their names on the wire."""
    fields: dict[str, Any] = msgspec.to_builtins(body)
    return fields
