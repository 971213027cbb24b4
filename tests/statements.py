"""Statements that reach the database, and what Citus could not, or not cheaply, do with them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, JoinType, SubLinkType
from pglast.stream import RawStream
from pglast.visitors import Visitor

from meterbook.storage.database import Database
from meterbook.storage.distribution import DISTRIBUTED, LOCAL
from meterbook.storage.metadata import metadata

_PARAMETER = re.compile(r"%\((\w+)\)s")
_ONE_CHANNEL = re.compile(r"\b(?:channel_id|input_id) = %\(")


class Statement(NamedTuple):
    """One text, with the parameters of its first time."""

    text: str
    parameters: Any

    @property
    def tables(self) -> set[str]:
        """The distributed tables it names."""
        return {name for name in DISTRIBUTED if re.search(rf"\b{name}\b", self.text)}

    @property
    def is_of_one_channel(self) -> bool:
        """Whether one shard has all it asks for."""
        return bool(_ONE_CHANNEL.search(self.text))


@contextmanager
def captured(database: Database) -> Iterator[dict[str, Statement]]:
    """Give what the database was sent meanwhile, each text once."""
    seen: dict[str, Statement] = {}

    def note(_c: Any, _cursor: Any, text: str, parameters: Any, _x: Any, many: bool) -> None:
        seen.setdefault(text, Statement(text, parameters[0] if many and parameters else parameters))

    sa.event.listen(database._writer, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(database._writer, "before_cursor_execute", note)


@lru_cache(maxsize=4096)
def _faults(text: str) -> tuple[str, ...]:
    [parsed] = parse_sql(text)
    looker = _Looker()
    looker(parsed)
    return tuple(looker.faults)


def faults(statement: Statement) -> list[str]:
    """Return what Citus refuses, or does by fetching whole tables: decision 0038."""
    return list(_faults(_PARAMETER.sub("$1", statement.text)))


class _Looker(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def visit_WithClause(self, _ancestors: Any, node: ast.WithClause) -> None:  # noqa: N802
        if node.recursive and _distributed(node):
            self.faults.append("recursion over many shards")

    def visit_LockingClause(self, ancestors: Any, _node: ast.LockingClause) -> None:  # noqa: N802
        if _distributed(ancestors.find_nearest(ast.SelectStmt).node):
            self.faults.append("row locks in many shards")

    def visit_JoinExpr(self, _ancestors: Any, node: ast.JoinExpr) -> None:  # noqa: N802
        left, right = _distributed(node.larg), _distributed(node.rarg)
        if node.jointype == JoinType.JOIN_LEFT and right and not left:
            self.faults.append("an outer join from what every node has to what is distributed")
        if left and right and not _joins_channels(node.quals):
            self.faults.append("distributed tables joined by something else than their channel")

    def visit_SelectStmt(self, _ancestors: Any, node: ast.SelectStmt) -> None:  # noqa: N802
        sources = node.fromClause or ()
        functions = [source for source in sources if isinstance(source, ast.RangeFunction)]
        if functions and len(sources) > 1:
            self.faults.append("a function joined without a SELECT of its own around it")
        spread = [source for source in sources if _distributed(source)]
        if len(spread) > 1 and not _joins_channels(node.whereClause):
            self.faults.append("distributed tables joined by something else than their channel")
        if (_distributed(node) or _referenced(node)) and _names(node) & set(LOCAL):
            self.faults.append("a table of the coordinator with others")
        inner = _Sublinks()
        if node.whereClause is not None and not spread:
            inner(node.whereClause)
            if inner.exists_over_shards and sources:
                self.faults.append("rows of shards looked up for rows that every node has")

    def visit_UpdateStmt(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        if node.relation.relname in DISTRIBUTED and node.fromClause:
            self.faults.append("a distributed table updated from another")

    def visit_InsertStmt(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        how = DISTRIBUTED.get(node.relation.relname)
        columns = {column.name for column in node.cols or ()}
        if how is not None and how.column not in columns:
            self.faults.append("a row without its channel")


class _Sublinks(Visitor):
    exists_over_shards = False

    def visit_SubLink(self, _ancestors: Any, node: ast.SubLink) -> None:  # noqa: N802
        if node.subLinkType == SubLinkType.EXISTS_SUBLINK and _distributed(node.subselect):
            self.exists_over_shards = True


class _Names(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def visit_RangeVar(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        self.found.add(node.relname)


class _Equalities(Visitor):
    found = False

    def visit_A_Expr(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        if node.kind == A_Expr_Kind.AEXPR_OP and node.name[0].sval == "=":
            sides = [RawStream()(side) for side in (node.lexpr, node.rexpr)]
            columns = {how.column for how in DISTRIBUTED.values()}
            ends = {side.rpartition(".")[2] for side in sides if "." in side}
            self.found |= len(ends) == 1 and len({*sides}) > 1 and ends <= columns


def _names(node: Any) -> set[str]:
    looker = _Names()
    looker(node)
    return looker.found


def _distributed(node: Any) -> bool:
    return bool(_names(node) & set(DISTRIBUTED))


def _referenced(node: Any) -> bool:
    return bool(_names(node) & (set(metadata.tables) - set(LOCAL) - set(DISTRIBUTED)))


def _joins_channels(condition: Any) -> bool:
    if condition is None:
        return False
    looker = _Equalities()
    looker(condition)
    return looker.found


def plan(database: Database, statement: Statement) -> str:
    """Return how the cluster would do it, without doing it."""
    with database.writing() as connection:
        rows = connection.exec_driver_sql(
            f"EXPLAIN (COSTS OFF) {statement.text}", statement.parameters
        )
        return "\n".join(row[0] for row in rows)
