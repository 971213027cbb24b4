"""
Which registers are read together: neighbours go into one request, holes are read along.

    wanted   ▓▓ ▓▓      ▓▓ ▓▓                     ▓▓
    asked    [─────── one block ──────]           [one]

A number's words and its scale factor always stay together: read apart, they could be of two
different moments.
"""

from collections.abc import Sequence

import msgspec

from meterbook.domain.modbus_numbers import BusLimits, FunctionCode
from meterbook.registry.poll_plans import PolledRegister


class Block(msgspec.Struct, frozen=True):
    """One request and the registers it is for."""

    function_code: FunctionCode
    address: int
    count: int
    registers: tuple[PolledRegister, ...]


def blocks_of(registers: Sequence[PolledRegister], *, limits: BusLimits) -> list[Block]:
    """Return the fewest requests that the limits allow, by function and address."""
    blocks: list[Block] = []
    gathered: list[PolledRegister] = []
    for register in sorted(registers, key=lambda one: (one.function_code, one.span)):
        if gathered and not _fits(gathered, register, limits):
            blocks.append(_block(gathered))
            gathered = []
        gathered.append(register)
    if gathered:
        blocks.append(_block(gathered))
    return blocks


def halves(block: Block) -> list[Block]:
    """Return two blocks instead of one, each with half of its registers."""
    middle = len(block.registers) // 2
    return [_block(block.registers[:middle]), _block(block.registers[middle:])]


def _fits(gathered: Sequence[PolledRegister], register: PolledRegister, limits: BusLimits) -> bool:
    if register.function_code is not gathered[0].function_code:
        return False
    first = gathered[0].span[0]
    end = max(one.span[1] for one in gathered)
    start, new_end = register.span
    return start - end <= limits.hole_words_max and (
        max(end, new_end) - first <= limits.block_words_max
    )


def _block(registers: Sequence[PolledRegister]) -> Block:
    first = min(one.span[0] for one in registers)
    end = max(one.span[1] for one in registers)
    return Block(registers[0].function_code, first, end - first, tuple(registers))
