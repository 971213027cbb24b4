"""Queries as Grafana's builder writes them are understood; what is not is refused by name."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbook.domain.influxql import (
    Column,
    Conditions,
    Listing,
    QueryError,
    Question,
    TagCondition,
    understood,
)

NOW = 1_767_225_600
OF_ENERGY = 'SELECT "kWh" FROM energy WHERE '
WHERE = ' FROM "energy" WHERE time >= 1767225600000ms and time <= 1767312000000ms'


def question(text: str) -> Question:
    found = understood(text, now=NOW)
    assert isinstance(found, Question)
    return found


def test_the_builders_query_is_understood_in_full() -> None:
    found = question(
        'SELECT sum("kWh") AS "Energy", max("kW"::field) FROM "energy" WHERE '
        "(\"meter\"::tag = '123-456-789' AND \"flow\" = 'import') "
        "AND time >= 1767225600000ms and time <= 1767312000000ms "
        'GROUP BY time(30m), "flow"::tag fill(null) ORDER BY time DESC '
        "LIMIT 10 tz('Europe/Warsaw')"
    )
    meter = TagCondition("meter", is_one_of=True, words=frozenset({"123-456-789"}))
    flow = TagCondition("flow", is_one_of=True, words=frozenset({"import"}))
    assert found == Question(
        columns=[Column("Energy", "kWh", "sum"), Column("max", "kW", "max")],
        where=Conditions([Conditions([meter, flow])]),
        starts_at=NOW,
        ends_at=NOW + 86_401,
        every_s=1800,
        tags=("flow",),
        fill=None,
        newest_first=True,
        limit=10,
        zone=ZoneInfo("Europe/Warsaw"),
    )


@pytest.mark.parametrize(
    ("condition", "bounds"),
    [
        ("time > 1767225600s AND time < 1767225602s", (NOW + 1, NOW + 2)),
        ("time >= 1767225600000000001 AND time < now() + 1m", (NOW + 1, NOW + 60)),
        ("time >= now() - 1h", (NOW - 3600, None)),
        ("time = 1767225600s", (NOW, NOW + 1)),
        ("time >= '2026-01-01T00:00:00Z' AND time < '2026-01-01 01:00:00'", (NOW, NOW + 3600)),
        ('"time" >= 1s AND time >= 1767225600s', (NOW, None)),
    ],
)
def test_times_are_whole_seconds_half_open(
    condition: str, bounds: tuple[int | None, int | None]
) -> None:
    found = question(OF_ENERGY + condition)
    assert (found.starts_at, found.ends_at) == bounds


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        ("meter =~ /^(1|2)$/", TagCondition("meter", is_one_of=True, words=frozenset("12"))),
        (
            "meter =~ /^123-456-789$/",
            TagCondition("meter", is_one_of=True, words=frozenset({"123-456-789"})),
        ),
        ("meter !~ /.*/", TagCondition("meter", is_one_of=False, words=None)),
        ("flow <> 'export'", TagCondition("flow", is_one_of=False, words=frozenset({"export"}))),
        (
            "(flow = 'import' OR meter = '1')",
            Conditions(
                [
                    TagCondition("flow", is_one_of=True, words=frozenset({"import"})),
                    TagCondition("meter", is_one_of=True, words=frozenset({"1"})),
                ],
                all_of_them=False,
            ),
        ),
    ],
)
def test_conditions_of_tags_are_understood(condition: str, test: TagCondition | Conditions) -> None:
    assert question(OF_ENERGY + condition).where.conditions == [test]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('SHOW TAG VALUES FROM "energy" WITH KEY = "meter"', Listing("TAG VALUES", "meter")),
        ('SHOW RETENTION POLICIES on "meterbook"', Listing("RETENTION POLICIES")),
        ("SHOW measurements", Listing("MEASUREMENTS")),
        ('SHOW FIELD KEYS FROM "energy";', Listing("FIELD KEYS")),
    ],
)
def test_lists_are_understood(text: str, what: Listing) -> None:
    assert understood(text, now=NOW) == what


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('SELECT median("kWh")' + WHERE, "median"),
        ('SELECT mean("value")' + WHERE, '"value"'),
        ('SELECT "kWh", sum("kWh")' + WHERE, "plain fields"),
        ('SELECT sum("kWh") FROM "cpu"', '"cpu"'),
        ('SELECT sum("kWh") * 2' + WHERE, "'*'"),
        ("SELECT sum(\"kWh\") FROM energy WHERE host = 'a'", '"host"'),
        ("SELECT sum(\"kWh\") FROM energy WHERE meter = 'a' OR time > 1s", "time beside OR"),
        (
            "SELECT sum(\"kWh\") FROM energy WHERE (time > 1s AND meter = 'a') OR meter = 'b'",
            "time is understood",
        ),
        (
            "SELECT sum(\"kWh\") FROM energy WHERE meter = 'a' AND meter = 'b' OR meter = 'c'",
            "use brackets",
        ),
        ('SELECT sum("kWh") FROM energy WHERE meter =~ /1.*(2+)+/', "/1.*(2+)+/"),
        ('SELECT sum("kWh")' + WHERE + " GROUP BY time(30m) fill(linear)", "fill(linear)"),
        ('SELECT sum("kWh")' + WHERE + " SLIMIT 1", "'SLIMIT'"),
        ('SELECT sum("kWh")' + WHERE + " tz('Mars')", "Mars"),
        ('SELECT sum("kWh")' + WHERE + "; DROP", "'DROP'"),
        ("SELECT sum(\"kWh\") FROM energy WHERE time > 'soon'", "'soon'"),
        ('SELECT sum("kWh', "is not understood"),
        ("(" * 50, "'('"),
    ],
)
def test_what_is_not_understood_is_named(text: str, named: str) -> None:
    with pytest.raises(QueryError) as refused:
        understood(text, now=NOW)
    assert named in str(refused.value)


WORDS = [
    *("SELECT", 'sum("kWh")', "FROM", "energy", "WHERE", "(", ")", "time", ">=", "1s", "now()"),
    *("-", "AND", "OR", "meter", "=", "'1'", "=~", "/^a$/", "GROUP", "BY", "time(1h)", ","),
    *("fill(0)", "ORDER", "LIMIT", "5", "tz('UTC')", "SHOW", "TAG", "KEYS", "::tag", "\x00", "5µ"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=60))
def test_whatever_is_asked_is_understood_or_refused(text: str) -> None:
    try:
        understood(text, now=NOW)
    except QueryError:
        return
