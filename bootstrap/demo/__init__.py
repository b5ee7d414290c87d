"""Demo rows for every table of an app: believable, related, and the same for the same seed.

All that is needed to know is in the models' metadata. This package runs in the worker, under the
app's own interpreter: it needs SQLAlchemy and nothing of bootstrapd.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from . import columns, schema, sinks
from .schema import Request as Request

BATCH_ROWS = 5_000


class NotEmptyError(Exception):
    """A table has rows that are not the app's reference rows; the message is `table (rows)`, ..."""


# How many rows of how many are written, and the table that is being filled.
Report = Callable[[int, int, str], None]


def fill(
    connection: sa.engine.Connection, metadata: sa.MetaData, request: Request, report: Report
) -> dict[str, int]:
    """Insert demo rows into every table, in the open transaction; returns how many a table.

    Raises NotEmptyError, and ValueError for what cannot be filled. `report` may raise to stop.
    """
    tables = [table for table in metadata.tables.values() if not table.info.get("bookkeeping")]
    present = {table: _count(connection, table) for table in tables}
    if not request.more:
        _require_empty(present, request.reference)
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET CONSTRAINTS ALL DEFERRED"))
    plans = columns.plan(connection, schema.ordered(tables), present, request)
    total = sum(plan.rows for plan in plans)
    done = 0
    for plan in plans:
        names = list(plan.sources)
        with sinks.open_sink(connection, plan.table, names) as sink:
            readers = [plan.sources[name].reader(sink.renderer(name)) for name in names]
            for indices in _batches(plan.first, plan.rows):
                report(done, total, plan.table.fullname)
                sink.write([reader(indices) for reader in readers])
                done += len(indices)
    for plan in plans:
        _set_later(connection, plan, lambda name: report(done, total, name))
    if connection.dialect.name == "postgresql":
        _finish(connection, plans)
    return {plan.table.fullname: plan.rows for plan in plans}


def _require_empty(present: Mapping[sa.Table, int], reference: Mapping[str, int]) -> None:
    full = {
        table.fullname: count
        for table, count in present.items()
        if count > reference.get(table.fullname, 0)
    }
    if full:
        raise NotEmptyError(", ".join(f"{name} ({count})" for name, count in full.items()))


def _count(connection: sa.engine.Connection, table: sa.Table) -> int:
    found = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
    return int(found or 0)


def _batches(first: int, rows: int) -> list[range]:
    end = first + rows
    return [range(begin, min(begin + BATCH_ROWS, end)) for begin in range(first, end, BATCH_ROWS)]


def _set_later(
    connection: sa.engine.Connection, plan: columns.Plan, report: Callable[[str], None]
) -> None:
    """Fill the columns that refer to tables which were filled after this one."""
    if not plan.later:
        return
    key = list(plan.table.primary_key.columns)
    # What Python code would set with every change stays as it is.
    kept = {column.key: column for column in plan.table.columns if column.onupdate is not None}
    update = (
        plan.table.update()
        .where(*(column == sa.bindparam(f"key_{column.name}") for column in key))
        .values({**kept, **{name: sa.bindparam(f"new_{name}") for name in plan.later}})
    )
    for indices in _batches(plan.first, plan.rows):
        report(plan.table.fullname)
        values: dict[str, list[Any]] = {
            **{f"key_{column.name}": plan.sources[column.name].values(indices) for column in key},
            **{f"new_{name}": source.values(indices) for name, source in plan.later.items()},
        }
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        connection.execute(update, rows)


def _finish(connection: sa.engine.Connection, plans: list[columns.Plan]) -> None:
    """Bring the sequences behind the keys that were given, and the planner's statistics."""
    quote = connection.dialect.identifier_preparer
    for plan in plans:
        table = quote.format_table(plan.table)
        for column in plan.counted:
            name = quote.format_column(column)
            connection.execute(
                sa.text(
                    "SELECT setval(pg_get_serial_sequence(:table, :column), max(c)) FROM"
                    f" (SELECT max({name}) AS c FROM {table}) AS highest"
                    " WHERE pg_get_serial_sequence(:table, :column) IS NOT NULL"
                ),
                {"table": table, "column": column.name},
            )
        connection.execute(sa.text(f"ANALYZE {table}"))
