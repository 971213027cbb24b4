"""
Which registers are read together: neighbours go into one request, holes are read along.

    wanted   ▓▓ ▓▓      ▓▓ ▓▓                     ▓▓
    asked    [─────── one block ──────]           [one]

A number's words and its scale factor stay together: read apart, they could be of two different
moments. Only where they lie further apart than one request may ask for is the factor read alone.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from meterbook.domain.modbus_numbers import BusLimits, FunctionCode
from meterbook.registry.poll_plans import PolledRegister


class Piece(msgspec.Struct, frozen=True):
    """Neighbouring addresses that belong to one register: all of its own, as a rule."""

    register: PolledRegister
    address: int
    end: int


class Block(msgspec.Struct, frozen=True):
    """One request and what it is for."""

    function_code: FunctionCode
    address: int
    count: int
    pieces: tuple[Piece, ...]


def blocks_of(registers: Sequence[PolledRegister], *, limits: BusLimits) -> list[Block]:
    """Return the fewest requests that the limits allow, by function and address."""
    blocks: list[Block] = []
    gathered: list[Piece] = []
    pieces = (piece for register in registers for piece in _pieces(register, limits))
    for piece in sorted(pieces, key=lambda one: (_function(one), one.address, one.end)):
        if gathered and not _fits(gathered, piece, limits):
            blocks.append(_block(gathered))
            gathered = []
        gathered.append(piece)
    if gathered:
        blocks.append(_block(gathered))
    return blocks


def halves(block: Block) -> list[Block]:
    """Return two blocks instead of one, each with half of its pieces."""
    middle = len(block.pieces) // 2
    return [_block(block.pieces[:middle]), _block(block.pieces[middle:])]


def _pieces(register: PolledRegister, limits: BusLimits) -> Iterator[Piece]:
    first, end = register.span
    if end - first <= limits.block_words_max:
        yield Piece(register, first, end)
        return
    factor = () if register.scale_address is None else (register.scale_address,)
    addresses = sorted({*register.addresses, *factor})
    # Of neighbours the difference to their place is the same.
    for _, group in groupby(enumerate(addresses), lambda placed: placed[1] - placed[0]):
        run = [address for _, address in group]
        yield Piece(register, run[0], run[-1] + 1)


def _function(piece: Piece) -> FunctionCode:
    return piece.register.function_code


def _fits(gathered: Sequence[Piece], piece: Piece, limits: BusLimits) -> bool:
    if _function(piece) is not _function(gathered[0]):
        return False
    end = max(one.end for one in gathered)
    return piece.address - end <= limits.hole_words_max and (
        max(end, piece.end) - gathered[0].address <= limits.block_words_max
    )


def _block(pieces: Sequence[Piece]) -> Block:
    first = min(one.address for one in pieces)
    end = max(one.end for one in pieces)
    return Block(_function(pieces[0]), first, end - first, tuple(pieces))
