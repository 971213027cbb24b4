"""The number of a thing, out of its address."""

from meterbook.registry.refusals import NotThereError


def number(item: str, thing: str) -> int:
    """
    Return the id an address holds.

    :raises NotThereError: if it is none.
    """
    if not item.isascii() or not item.isdigit() or len(item) > 15:  # noqa: PLR2004 below 2**53
        raise NotThereError(thing)
    return int(item)
