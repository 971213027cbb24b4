"""Which meter a row of a table names: ours by its number, or another by its name."""

from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.intake.files.parsed import OWN

NAME_CHARACTERS_MAX = 64
NO_METER = "names no meter, or with more than 64 characters"


def named(text: str) -> tuple[str, str] | None:
    """Return scheme and name; None where it names none."""
    if not text or len(text) > NAME_CHARACTERS_MAX:
        return None
    digits = text.replace("-", "")
    if digits.isascii() and digits.isdigit() and len(digits) <= 9 and text[0] not in "0-":  # noqa: PLR2004
        return (OWN, str(int(digits))) if 1 <= int(digits) <= METER_ID_MAX else None
    return ("csv", text)
