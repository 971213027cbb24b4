"""Bodies that unpack to more than the limit are refused, and leave no memory taken behind."""

import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from meterbook.intake.bodies import BodyTooLargeError, unpack

MIB = 1 << 20
LIMIT_MIB = 64


def taken_mib() -> int:
    """Return the memory this process has for itself."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)],
    ids=["gzip", "zstd"],
)
def test_a_bomb_is_refused_and_its_memory_given_back(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(bytes(2 * LIMIT_MIB * MIB))

    def refused() -> None:
        with pytest.raises(BodyTooLargeError):
            unpack(bomb, encoding=encoding, bytes_max=LIMIT_MIB * MIB)

    with ThreadPoolExecutor(2) as threads:  # as in a server: each keeps what it freed to itself
        before = taken_mib()
        for _ in range(4):
            for done in [threads.submit(refused), threads.submit(refused)]:
                done.result()
        assert taken_mib() - before < LIMIT_MIB // 2
