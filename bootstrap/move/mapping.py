"""Which table and column of the source goes to which of the target."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bootstrap.errors import SettingsError
from bootstrap.libpq import identifier as quoted
from bootstrap.move import checks, forms, problems, wanted
from bootstrap.move.problems import Problem
from bootstrap.move.request import Request
from bootstrap.move.source import Source, kind
from bootstrap.move.source import Table as SourceTable


@dataclass(frozen=True)
class Pair:
    """A column of the target with the source's name of it, and the form of its values."""

    column: wanted.Column
    source: str
    form: forms.Form


@dataclass(frozen=True)
class Plan:
    """One table to be moved."""

    source: SourceTable
    target: wanted.Table
    pairs: tuple[Pair, ...]
    rows: int

    @property
    def name(self) -> str:
        """Its name in the target."""
        return self.target.name

    @property
    def names(self) -> checks.Names:
        """What the source calls the columns, for expressions over them."""
        every = {pair.column.name: pair.source for pair in self.pairs}
        plain = [pair.column.name for pair in self.pairs if pair.column.base in checks.PLAIN]
        return checks.Names({name: every[name] for name in plain}, every)

    def source_column(self, column: str) -> str | None:
        """What the source calls a column of the target."""
        return next((pair.source for pair in self.pairs if pair.column.name == column), None)


def plans(
    source: Source,
    targets: Mapping[str, wanted.Table],
    request: Request,
    ask: forms.Ask,
    *,
    version_table: str,
) -> tuple[list[Plan], list[Problem]]:
    """The tables to move, each after those that it refers to, and what has no counterpart."""
    found: list[Problem] = []
    ours = source.tables()
    ours.pop(version_table, None)
    made: list[Plan] = []
    strange: set[str] = set()
    _check_rules(request.times, targets)
    for table in wanted.order(tuple(targets.values())):
        theirs = _named(ours, table.name)
        if theirs is None:
            found.append(_problem(request, "missing_table", table.name, "a table in the source"))
            continue
        pairs, missing = _pairs(source, theirs, table, request, ask)
        found += missing
        if pairs:
            made.append(Plan(theirs, table, tuple(pairs), source.count(theirs.name)))
        else:
            strange.add(theirs.name)
    taken = {plan.source.name for plan in made}
    for name in (*ours, *source.virtual()):
        if name not in taken and _any(source, name):
            what = (
                "a column that the target has"
                if name in strange
                else "a table of this name in the target"
            )
            found.append(_problem(request, "unknown_table", name, what))
    return made, found


def _pairs(
    source: Source, theirs: SourceTable, table: wanted.Table, request: Request, ask: forms.Ask
) -> tuple[list[Pair], list[Problem]]:
    found, pairs = [], []
    columns = {column.lower(): column for column in theirs.columns}
    for column in table.columns:
        name = columns.pop(column.name.lower(), None)
        if column.generated:
            continue
        if name is None:
            if not column.has_default and column.not_null:
                what = f"a column in the source for {column.type} not null"
                found.append(_problem(request, "missing_column", table.name, what, column.name))
            continue
        rule = request.times.get(f"{table.name}.{column.name}")
        pairs.append(Pair(column, name, forms.of(column, rule, ask)))
    for name in columns.values():
        if _any(source, theirs.name, name):
            what = "a column of this name in the target"
            found.append(_problem(request, "unknown_column", table.name, what, name))
    return pairs, found


def _problem(
    request: Request, kind: problems.Class, table: str, what: str, column: str = ""
) -> Problem:
    return Problem(kind, table, column, wanted=what, action=request.policy[kind])


def _named(tables: Mapping[str, SourceTable], name: str) -> SourceTable | None:
    if name in tables:
        return tables[name]
    alike = (table for each, table in tables.items() if each.lower() == name.lower())
    return next(alike, None)


def _any(source: Source, table: str, column: str | None = None) -> bool:
    where = f" where {quoted(column)} is not null" if column else ""
    query = f"select exists (select 1 from {quoted(table)}{where})"
    try:
        return bool(source.connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError as error:
        # What only the app's own SQLite can read, by a module or a function of it, may hold some.
        if kind(error) != sqlite3.SQLITE_ERROR:
            raise
        return True


def _check_rules(rules: Iterable[str], targets: Mapping[str, wanted.Table]) -> None:
    times = {
        f"{table.name}.{column.name}"
        for table in targets.values()
        for column in table.columns
        if column.base in ("timestamp", "timestamptz", "date") or column.bare == "interval"
    }
    for name in rules:
        if name not in times:
            raise SettingsError(f"--time {name}: the target has no such column of times")
