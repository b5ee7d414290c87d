"""Rows that break a CHECK: SQLite finds them where it can, and else the server is asked."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap import libpq
from bootstrap.libpq import identifier as quoted
from bootstrap.move import checks, forms, reading, single, source, wanted
from bootstrap.move.asker import Asker
from bootstrap.move.mapping import Pair, Plan


class UnjudgedError(Exception):
    """The CHECK asks for more than the values of a row; only the target itself can judge it."""


@dataclass(frozen=True)
class Row:
    """A row by its key, with the values of the columns that the CHECK is about."""

    key: tuple[Any, ...]
    columns: Sequence[str]
    values: tuple[Any, ...]


def unbroken(origin: source.Source, plan: Plan) -> Collection[str]:
    """The names of CHECKs that no row breaks, as far as one look at the table tells."""
    known = {check.name: _translated(plan, check) for check in plan.target.checks}
    terms = [f"not ({expression})" for expression in known.values() if expression]
    if not terms:
        return ()
    query = f"select exists (select 1 from {quoted(plan.source.name)} where {' or '.join(terms)})"
    try:
        ((some,),) = origin.connection.execute(query)
    except sqlite3.OperationalError:
        return ()
    return () if some else [name for name, expression in known.items() if expression]


def broken(
    origin: source.Source, asker: Asker, plan: Plan, check: wanted.Check, decide: single.Decide
) -> Iterator[Row]:
    """The rows that break a CHECK, before any is sent; `decide` is what is done about bad values.

    Raises UnjudgedError.
    """
    rows = _by_sqlite(origin, plan, check)
    return _by_server(origin, asker, plan, check, decide) if rows is None else rows


def _by_sqlite(origin: source.Source, plan: Plan, check: wanted.Check) -> Iterator[Row] | None:
    """None where SQLite has no words for this CHECK."""
    expression = _translated(plan, check)
    if expression is None:
        return None
    used = plan.names.used(expression)
    keys = [plan.source.sql(name) for name in plan.source.keys]
    names = [*keys, *(quoted(plan.names.all[name]) for name in used)]
    query = f"select {', '.join(names)} from {quoted(plan.source.name)} where not ({expression})"
    try:
        rows = origin.connection.execute(query)
    except sqlite3.OperationalError:
        return None
    return _rows(origin, rows, len(keys), used)


def _rows(
    origin: source.Source, rows: sqlite3.Cursor, width: int, used: Sequence[str]
) -> Iterator[Row]:
    with source.any_text(origin.connection):
        for row in rows:
            yield Row(row[:width], used, row[width:])


def _translated(plan: Plan, check: wanted.Check) -> str | None:
    expression = checks.translated(check.expression, plan.names)
    return expression if expression and plan.names.used(expression) else None


def _by_server(
    origin: source.Source, asker: Asker, plan: Plan, check: wanted.Check, decide: single.Decide
) -> Iterator[Row]:
    pairs = [pair for pair in plan.pairs if pair.column.name in check.columns]
    if not check.pure or not pairs or len(pairs) < len(check.columns):
        raise UnjudgedError
    columns = [pair.column for pair in pairs]
    width = len(plan.source.keys)
    for rows in reading.chunks(origin, plan.source, [pair.source for pair in pairs]):
        texts = [_texts(pairs, row[width:], decide) for row in rows]
        fitting = [row for row, text in zip(rows, texts, strict=True) if text is not None]
        try:
            places = asker.broken(check, columns, [text for text in texts if text is not None])
        except libpq.Error as error:
            if error.sqlstate is None:
                raise
            raise UnjudgedError from error
        for row in map(fitting.__getitem__, places):
            yield Row(row[:width], [column.name for column in columns], row[width:])


def _texts(
    pairs: Sequence[Pair], values: Sequence[Any], decide: single.Decide
) -> list[str | None] | None:
    """The values as the target would have them; None where one does not fit, which the scan tells.

    Raises UnjudgedError where one is too long to be asked about.
    """
    texts: list[str | None] = []
    for pair, value in zip(pairs, values, strict=True):
        if isinstance(value, reading.Huge):
            raise UnjudgedError
        text = single.printed(pair, value, decide)
        if text is None:
            return None
        texts.append(None if text == forms.NULL else single.unescaped(text.encode()).decode())
    return texts
