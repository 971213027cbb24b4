"""A file read while it arrives: whole, or an error; never an end that is not its end."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.arriving import ArrivingFile, BrokenOffError


def _read(arriving: ArrivingFile, step: int = -1) -> bytes:
    with arriving.opened() as stream:
        found = b""
        while more := stream.read(step):
            found += more
    return found


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 99))
def test_readers_see_what_the_writer_wrote(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], step: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "arriving"
    with ThreadPoolExecutor(2) as threads, ArrivingFile(path) as arriving:
        readers = [threads.submit(_read, arriving, size) for size in (step, -1)]
        for chunk in chunks:
            arriving.put(chunk)
        arriving.finish()
        assert [reader.result(10) for reader in readers] == [b"".join(chunks)] * 2
        arriving.wait_until_whole()
        assert _read(arriving) == b"".join(chunks)


def test_its_end_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads, ArrivingFile(tmp_path / "a") as arriving:
        arriving.put(b"first half, ")
        with arriving.opened() as stream:
            reader: Future[bytes] = threads.submit(stream.read)
            with pytest.raises(TimeoutError):
                reader.result(0.05)
            arriving.put(b"second half")
            arriving.finish()
            assert reader.result(10) == b"first half, second half"


def test_a_file_broken_off_has_no_end(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        with ArrivingFile(tmp_path / "a") as arriving:
            arriving.put(b"half")
            waiting = threads.submit(_read, arriving), threads.submit(arriving.wait_until_whole)
        for one in waiting:
            with pytest.raises(BrokenOffError):
                one.result(10)
    with pytest.raises(BrokenOffError):
        _read(arriving)
    with pytest.raises(BrokenOffError):
        arriving.wait_until_whole()


def test_a_whole_file_stays_whole_when_its_writer_leaves(tmp_path: Path) -> None:
    with ArrivingFile(tmp_path / "a") as arriving:
        arriving.put(b"all")
        arriving.finish()
    assert _read(arriving) == b"all"
