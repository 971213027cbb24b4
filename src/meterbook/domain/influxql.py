"""
The part of InfluxQL in which energy is asked for, as Grafana's query builder writes it.

    SELECT sum("kWh") FROM "energy" WHERE "meter" = '123-456-789' AND time >= 1767225600000ms
    GROUP BY time(30m), "flow" fill(null) ORDER BY time ASC LIMIT 100 tz('Europe/Warsaw')

What is not understood is refused and named, never guessed at: half an answer would be a wrong
figure. Regular expressions are only `/.*/` and lists of words, `/^(a|b)$/`; no program is run.
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from meterbook.domain.local_days import UnknownZoneError, time_zone

MEASUREMENT = "energy"
FIELDS = ("kWh", "kW")
TAGS = ("flow", "meter")
FUNCTIONS = ("sum", "mean", "min", "max", "first", "last", "count")
_UNITS_NS = {
    "ns": 1,
    "u": 10**3,
    "µ": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
    "w": 604_800 * 10**9,
}
_TOKEN = re.compile(
    r"""\s*(?:"(?P<name>[^"\\]*)"|'(?P<text>[^'\\]*)'|/(?P<pattern>(?:[^/\\]|\\.)*)/
    |(?P<span>\d+(?:ns|ms|u|µ|s|m|h|d|w)\b)|(?P<number>\d+(?:\.\d+)?)\b|(?P<word>[A-Za-z_]\w*)
    |(?P<mark>::|=~|!~|!=|<>|>=|<=|[-+=<>(),;*]))""",
    re.VERBOSE,
)
_WORDS = re.compile(r"\^?\(?((?:[\w -]+\|)*[\w -]+)\)?\$?")
_QUERY_CHARACTERS_MAX = 10_000
_NESTED_MAX = 20


class QueryError(ValueError):
    """A query that is not understood here; says which part."""


class TagCondition(msgspec.Struct, frozen=True):
    """What a tag must be."""

    tag: str
    is_one_of: bool
    """False: is none of them."""
    words: frozenset[str] | None
    """None: anything."""


class Conditions(msgspec.Struct, frozen=True):
    """Several conditions."""

    conditions: list["Conditions | TagCondition"]
    all_of_them: bool = True


class Column(msgspec.Struct, frozen=True):
    """One column of the answer."""

    name: str
    field: str
    function: str
    """Empty: the points as they are."""


class Question(msgspec.Struct, frozen=True):
    """A SELECT, understood."""

    columns: list[Column]
    where: Conditions
    starts_at: int | None
    """First instant wanted, UTC epoch seconds; None: none was said."""
    ends_at: int | None
    """First instant not wanted."""
    every_s: int | None
    """Length of the points; None: all in one."""
    tags: tuple[str, ...]
    """By which it is grouped."""
    fill: str | float | None
    """`none`, `previous`, a number; None: null."""
    newest_first: bool
    limit: int | None
    zone: ZoneInfo


class Listing(msgspec.Struct, frozen=True):
    """A SHOW, understood: what is listed, and of TAG VALUES which tag."""

    what: str
    tag: str = ""


_Token = tuple[str, str]
_END: _Token = ("end", "")


def understood(query: str, *, now: int) -> Question | Listing:
    """
    Return what is asked.

    :raises QueryError: naming what is not understood.
    """
    tokens = _tokens(query)
    reader = _Reader(tokens, now)
    found = reader.listing() if tokens[0] == ("word", "SHOW") else reader.question()
    reader.end()
    return found


def _tokens(query: str) -> list[_Token]:
    if len(query) > _QUERY_CHARACTERS_MAX:
        raise QueryError("the query is too long")
    found: list[_Token] = []
    place, text = 0, query.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise QueryError(f"{text[place : place + 20]!r} is not understood")
        kind = str(match.lastgroup)
        found.append((kind, match[kind].upper() if kind == "word" else match[kind]))
        place = match.end()
    return [*found, _END]


class _Reader:
    """Reads tokens one after the other."""

    def __init__(self, tokens: list[_Token], now: int) -> None:
        self._tokens = tokens
        self._now_ns = now * 10**9
        self._at = 0
        self._starts_at: int | None = None
        self._ends_at: int | None = None

    def end(self) -> None:
        self._skip("mark", ";")
        if self._next != _END:
            raise self._wrong()

    def listing(self) -> Listing:
        self._take("word", "SHOW")
        words = []
        while self._next[0] == "word" and self._next[1] not in {"FROM", "ON", "WITH", "WHERE"}:
            words.append(self._any("word"))
        what = " ".join(words)
        tag = ""
        while self._next not in {_END, ("mark", ";")}:
            if self._skip("word", "WITH"):
                self._take("word", "KEY")
                self._take("mark", "=")
                tag = self._name()
            else:
                # From where, and of what: there is one measurement and nothing to leave out.
                self._at += 1
        return Listing(what, tag)

    def question(self) -> Question:
        self._take("word", "SELECT")
        columns = [self._column()]
        while self._skip("mark", ","):
            columns.append(self._column())
        if len({bool(column.function) for column in columns}) > 1:
            raise QueryError("functions and plain fields in one query are not understood")
        self._take("word", "FROM")
        measurement = self._name()
        if measurement != MEASUREMENT:
            raise QueryError(f'there is no measurement "{measurement}", only "{MEASUREMENT}"')
        where = self._conditions() if self._skip("word", "WHERE") else Conditions([])
        every_s, tags = self._groups() if self._skip("word", "GROUP") else (None, ())
        fill = self._fill() if self._skip("word", "FILL") else None
        newest_first = self._order() if self._skip("word", "ORDER") else False
        limit = int(float(self._any("number"))) if self._skip("word", "LIMIT") else None
        zone = self._zone() if self._skip("word", "TZ") else ZoneInfo("UTC")
        return Question(
            columns, where, self._starts_at, self._ends_at, every_s, tags, fill, newest_first,
            limit, zone,
        )  # fmt: skip

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _wrong(self) -> QueryError:
        return QueryError(f"{self._next[1] or 'the end'!r} is not understood there")

    def _skip(self, kind: str, content: str) -> bool:
        is_it = self._next == (kind, content)
        self._at += is_it
        return is_it

    def _take(self, kind: str, content: str) -> None:
        if not self._skip(kind, content):
            raise self._wrong()

    def _any(self, kind: str) -> str:
        if self._next[0] != kind:
            raise self._wrong()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _name(self) -> str:
        kind = self._next[0]
        name = self._any("word").lower() if kind == "word" else self._any("name")
        if self._skip("mark", "::"):
            self._any("word")
        return name

    def _column(self) -> Column:
        function = ""
        if self._next[0] == "word":
            function = self._any("word").lower()
            if function not in FUNCTIONS:
                raise QueryError(f"{function}() is not understood: {', '.join(FUNCTIONS)} are")
            self._take("mark", "(")
        field = self._any("name")
        if self._skip("mark", "::"):
            self._any("word")
        if field not in FIELDS:
            raise QueryError(f'there is no field "{field}": {", ".join(FIELDS)} are there')
        if function:
            self._take("mark", ")")
        name = self._any("name") if self._skip("word", "AS") else function or field
        return Column(name, field, function)

    def _conditions(self, depth: int = 0) -> Conditions:
        if depth > _NESTED_MAX:
            raise QueryError("the conditions are nested too deep")
        found = [self._condition(depth)]
        words = {self._next[1]} & {"AND", "OR"} if self._next[0] == "word" else set()
        while self._next[0] == "word" and self._next[1] in {"AND", "OR"}:
            if self._next[1] not in words:
                raise QueryError("AND and OR beside each other are not understood: use brackets")
            self._at += 1
            found.append(self._condition(depth))
        if words == {"OR"} and None in found:
            raise QueryError("time beside OR is not understood")
        return Conditions([one for one in found if one is not None], words != {"OR"})

    def _condition(self, depth: int) -> Conditions | TagCondition | None:
        if self._skip("mark", "("):
            inner = self._conditions(depth + 1)
            self._take("mark", ")")
            return inner
        if self._next in {("word", "TIME"), ("name", "time")}:
            self._at += 1
            self._bound(self._any("mark"), depth)
            return None
        tag = self._name()
        if tag not in TAGS:
            raise QueryError(f'there is no tag "{tag}": {", ".join(TAGS)} are there')
        mark = self._any("mark")
        if mark in {"=~", "!~"}:
            return TagCondition(tag, mark == "=~", _words(self._any("pattern")))
        if mark not in {"=", "!=", "<>"}:
            raise QueryError(f"{mark!r} is not understood of a tag")
        return TagCondition(tag, mark == "=", frozenset({self._any("text")}))

    def _bound(self, mark: str, depth: int) -> None:
        if depth:  # in brackets it could stand beside an OR
            raise QueryError("time is understood beside the other conditions only")
        instant_ns = self._instant_ns()
        up = -(-instant_ns // 10**9)
        down = instant_ns // 10**9
        if mark in {">=", ">", "="}:
            first = down + 1 if mark == ">" else up
            self._starts_at = first if self._starts_at is None else max(first, self._starts_at)
        if mark in {"<=", "<", "="}:
            end = up if mark == "<" else down + 1
            self._ends_at = end if self._ends_at is None else min(end, self._ends_at)
        if mark not in {">=", ">", "=", "<=", "<"}:
            raise QueryError(f"{mark!r} is not understood of time")

    def _instant_ns(self) -> int:
        if self._skip("word", "NOW"):
            self._take("mark", "(")
            self._take("mark", ")")
            found = self._now_ns
        elif self._next[0] == "text":
            found = _written_ns(self._any("text"))
        elif self._next[0] == "span":
            found = _span_ns(self._any("span"))
        else:
            found = int(self._any("number").partition(".")[0])
        while self._next in {("mark", "-"), ("mark", "+")}:
            sign = -1 if self._any("mark") == "-" else 1
            found += sign * _span_ns(self._any("span"))
        return found

    def _groups(self) -> tuple[int | None, tuple[str, ...]]:
        self._take("word", "BY")
        every_s: int | None = None
        tags: list[str] = []
        while True:
            if self._skip("word", "TIME"):
                self._take("mark", "(")
                every_s = max(1, _span_ns(self._any("span")) // 10**9)
                self._take("mark", ")")
            elif self._skip("mark", "*"):
                tags += TAGS
            else:
                tags.append(self._name())
            if not self._skip("mark", ","):
                break
        if unknown := set(tags) - set(TAGS):
            raise QueryError(f'there is no tag "{min(unknown)}": {", ".join(TAGS)} are there')
        return every_s, tuple(sorted(set(tags)))

    def _fill(self) -> str | float | None:
        self._take("mark", "(")
        if self._next[0] == "number":
            found: str | float | None = float(self._any("number"))
        else:
            word = self._any("word").lower()
            if word not in {"none", "null", "previous"}:
                raise QueryError(f"fill({word}) is not understood")
            found = None if word == "null" else word
        self._take("mark", ")")
        return found

    def _order(self) -> bool:
        self._take("word", "BY")
        self._take("word", "TIME")
        return not self._skip("word", "ASC") and self._skip("word", "DESC")

    def _zone(self) -> ZoneInfo:
        self._take("mark", "(")
        try:
            zone = time_zone(self._any("text"))
        except UnknownZoneError as error:
            raise QueryError(str(error)) from None
        self._take("mark", ")")
        return zone


def _span_ns(written: str) -> int:
    digits = written.rstrip("nsumhdwµ")
    return int(digits) * _UNITS_NS[written[len(digits) :]]


def _written_ns(written: str) -> int:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise QueryError(f"{written!r} is no time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 10**6) * 1000


def _words(pattern: str) -> frozenset[str] | None:
    if pattern in {".*", "^.*$"}:
        return None
    match = _WORDS.fullmatch(pattern)
    if match is None or not pattern.startswith("^") or not pattern.endswith("$"):
        raise QueryError(f"/{pattern}/ is not understood: /.*/ and /^(a|b)$/ are")
    return frozenset(match[1].split("|"))
