"""
Bodies taken at their word: a number is a number, not text that looks like one.

The framework reads bodies as loosely as query strings, where everything is text: it would take
`"502"` for a port and `0` for false.
"""

import re
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import SerializationException, ValidationException

_PLACE = re.compile(r" - at `\$\.(\w+)[^`]*`$")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose body is decoded straight into what its route takes."""

    async def json(self) -> Any:
        """
        Return the decoded body.

        :raises ValidationException: if it is JSON but not what the route takes; names the field.
        :raises SerializationException: if it is not JSON.
        """
        taken = self.route_handler.parsed_data_field
        try:
            return msgspec.json.decode(await self.body(), type=taken.annotation if taken else Any)
        except msgspec.ValidationError as error:
            raise ValidationException(extra=[_named(str(error))]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SerializationException(f"the body must be JSON ({error})") from None


def _named(reason: str) -> dict[str, str]:
    place = _PLACE.search(reason)
    return {
        "key": place[1] if place else "body",
        "message": reason[: place.start()] if place else reason,
    }
