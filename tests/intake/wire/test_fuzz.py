"""Whatever bytes a parser is given: samples, or a reason; never anything else, and soon."""

import json
import time
import zlib
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterbook.domain.input_mappings import MILLIONTHS
from meterbook.inputs.deliveries import AMOUNT_MAX, SamplesError, Series
from meterbook.intake.bodies import BodyTooLargeError
from meterbook.intake.wire.emoncms_cipher import decrypted, signed_with
from meterbook.intake.wire.emoncms_samples import bulk_samples, post_samples, unpacked
from meterbook.intake.wire.line_protocol import line_samples
from meterbook.intake.wire.requests import form_fields
from meterbook.intake.wire.thingsboard import gateway_samples, telemetry_samples

NOW = 1_767_225_600
UTC = ZoneInfo("UTC")

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from([1e300, -1e300, 2**63, 2**70, "nan", "1e999", "-0", "1_0"]),
)
JSON = st.recursive(
    NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
LINE_PARTS = st.lists(
    st.sampled_from(
        ["m", "a=1", ",", " ", "\\", '"', "=", "v=1", "v=1i", "v=t", "1767225600", "\n", "#", "é",
         "\x00", "v=1e400", "-", "1e5", "\r", "\t"]
    ),
    max_size=20,
).map("".join)  # fmt: skip


PARSERS: dict[str, Callable[[str], Series]] = {
    "lines": lambda text: line_samples(
        text.encode("utf-8", "surrogatepass"), database="d", unit_ns=10**9, now_ms=NOW * 1000
    ),
    "bulk": lambda text: bulk_samples({"data": text, "time": "0"}, now=NOW),
    "bulk sentat": lambda text: bulk_samples({"data": text, "sentat": text}, now=NOW),
    "bulk packed": lambda text: bulk_samples({"data": text, "c": "1"}, now=NOW),
    "fulljson": lambda text: post_samples({"fulljson": text}, node=None, now=NOW, zone=UTC),
    "json": lambda text: post_samples({"json": text}, node=text, now=NOW, zone=UTC),
    "csv": lambda text: post_samples({"csv": text, "time": text}, node="n", now=NOW, zone=UTC),
    "form": lambda text: post_samples(
        form_fields(text.encode("utf-8", "surrogatepass")), node="n", now=NOW, zone=UTC
    ),
    "telemetry": lambda text: telemetry_samples(
        text.encode("utf-8", "surrogatepass"), device="d", now_ms=NOW * 1000
    ),
    "gateway": lambda text: gateway_samples(
        text.encode("utf-8", "surrogatepass"), now_ms=NOW * 1000
    ),
}
TEXTS = st.one_of(st.text(max_size=60), JSON.map(json.dumps), LINE_PARTS)


def require_sane(series: Series) -> None:
    for (device, name), samples in series.items():
        assert device
        assert name
        assert device.isprintable()
        assert name.isprintable()
        for at_ms, amount in samples.items():
            assert isinstance(at_ms, int)
            assert isinstance(amount, int)
            assert 0 < at_ms <= (NOW + 300) * 1000
            assert abs(amount) <= AMOUNT_MAX * MILLIONTHS


def require_reason(error: Exception) -> None:
    assert str(error)
    assert len(str(error)) < 50_000


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_a_parser_gives_samples_or_a_reason(parser: str, text: str) -> None:
    try:
        require_sane(PARSERS[parser](text))
    except (SamplesError, BodyTooLargeError) as error:
        require_reason(error)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200), header=st.text(max_size=40))
def test_what_is_not_encrypted_with_a_key_opens_with_none(body: bytes, header: str) -> None:
    try:
        assert decrypted(body, shown_hmac=header, keys=["00" * 16]) is None
        signed_with(header)
    except SamplesError as error:
        require_reason(error)


def test_a_packed_bomb_is_never_unpacked_whole() -> None:
    bomb = zlib.compress(b"0" * 50_000_000, 9)
    with pytest.raises(BodyTooLargeError):
        unpacked(bomb)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "{" * 200_000, '{"a":' * 50_000, "," * 500_000, "=" * 200_000, "\\" * 200_000,
     "m," + "a=1," * 50_000 + " v=1", 'm v="' + "x" * 500_000, "9" * 500_000, "&" * 500_000,
     "m v=1\n" * 100_000],
    ids=["brackets", "braces", "nested", "commas", "equals", "backslashes", "tags", "quote",
         "digits", "ampersands", "lines"],
)  # fmt: skip
def test_no_text_holds_a_parser_up(parser: str, text: str) -> None:
    began = time.monotonic()
    try:
        require_sane(PARSERS[parser](text))
    except SamplesError as error:
        require_reason(error)
    assert time.monotonic() - began < 10
