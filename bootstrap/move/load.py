"""The target's side: one transaction in which everything comes, or nothing.

What a killed run has sent is gone with its connection. Foreign keys, indexes and triggers are taken
away within the same transaction and put back before its end, by their own definitions: nobody ever
sees the tables without them, and any role that owns them can do it.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from bootstrap import libpq
from bootstrap.move import prepare, wanted
from bootstrap.move.mapping import Plan
from bootstrap.move.reading import HUGE_BYTES
from bootstrap.move.source import Source

# For fewer rows, an index is kept up while they come.
_FEW_ROWS = 1000
READ_BYTES = 1_000_000
# As values are printed, so that the source can print the same.
SESSION = """
set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres';
set local bytea_output = 'hex'; set local extra_float_digits = 1; set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
set local synchronize_seqscans = off; set local max_parallel_workers_per_gather = 0;
set local maintenance_work_mem = '256MB'; set local client_encoding = 'UTF8'
"""


class Counting(Protocol):
    """What is told of each step."""

    def add(self, units: int) -> None:
        """So many more are done."""


class Load:
    """An open transaction on the target. Everything is undone unless `commit` is called."""

    def __init__(self, connection: libpq.Connection, plans: Sequence[Plan]) -> None:
        self._connection = connection
        self.plans = plans
        self._tables = [plan.target for plan in plans]
        self._redo: list[str] = []
        self._transaction: object = None

    def begin(self) -> None:
        """Take the tables for this transaction alone; they are to be empty."""
        run = self._connection.execute
        run("begin")
        (self._transaction,) = self._connection.row("select pg_catalog.txid_current()")
        run(SESSION)
        if self._connection.server_version >= 170000:
            run("set local transaction_timeout = 0")
        for table in self._tables:
            run(f"lock table {table.sql} in access exclusive mode")

    def occupied(self) -> dict[str, int]:
        """Rows that are in the way, by table."""
        return prepare.rows(self._connection, self._tables)

    def clear(self) -> None:
        """Take away what would slow the load or change its rows, and all rows that are there.

        A table that was emptied in this transaction is filled without a trace in the log of
        dead rows, in the order in which its rows come.
        """
        run = self._connection.execute
        later: list[str] = []
        for plan in self.plans:
            for step in plan.target.foreign:
                run(step.undo)
                later += step.redo
        built: list[str] = []
        for plan in self.plans:
            for step in plan.target.triggers:
                run(step.undo)
                later += step.redo
            if plan.rows >= _FEW_ROWS:
                for step in plan.target.indexes:
                    run(step.undo)
                    built += step.redo
        self._redo = [*built, *later]
        if self._tables:
            run(f"truncate {', '.join(table.sql for table in self._tables)}")

    def open(self, plan: Plan) -> None:
        """Begin to COPY rows into a table."""
        names = ", ".join(libpq.identifier(pair.column.name) for pair in plan.pairs)
        frozen = "" if plan.target.partitioned else " (freeze)"
        self._connection.copy_in(f"copy {plan.target.sql} ({names}) from stdin{frozen}")

    def put(self, data: bytes) -> None:
        """Send lines, or a part of one."""
        self._connection.put(data)

    def close(self) -> None:
        """All rows of the table are sent; the server says whether it took them."""
        self._connection.end_copy()

    def abandon(self) -> None:
        """Nothing more is sent, and what was is forgotten."""
        with contextlib.suppress(libpq.Error):
            self._connection.end_copy("the move has stopped")
        self.rollback()

    def lines(self, plan: Plan, huge: Collection[str]) -> Iterator[list[bytes]]:
        """The rows of a table as the server prints them, `huge` columns by the rule of the scan."""
        chosen = ", ".join(
            _printed(pair.column)
            if pair.column.name in huge
            else libpq.identifier(pair.column.name)
            for pair in plan.pairs
        )
        yield from self._connection.copy_out(
            f"copy (select {chosen} from {plan.target.sql}) to stdout", READ_BYTES
        )

    @property
    def steps(self) -> int:
        """How many indexes, keys and triggers are to be put back."""
        return len(self._redo)

    def restore(self, counter: Counting) -> None:
        """Put back indexes, foreign keys and triggers, each checked by the server."""
        for statement in self._redo:
            self._connection.execute(statement)
            counter.add(1)

    def restart_sequences(self, source: Source) -> None:
        """Let every sequence go on after the highest number that was given, here or there.

        One may number several tables.
        """
        following: dict[str, tuple[int, int]] = {}
        for plan in self.plans:
            for sequence in plan.target.sequences:
                if sequence.increment > 0:
                    given = source.sequence(plan.source.name)
                    found = self._following(plan, sequence, given)
                    following[sequence.name] = max(found, following.get(sequence.name, found))
        for name, (number, most) in following.items():
            if number <= most:
                self._connection.execute(f"alter sequence {name} restart with {number}")

    def _following(self, plan: Plan, sequence: wanted.Numbering, given: int) -> tuple[int, int]:
        """The number that a sequence is to give next by this table, and the most that it can."""
        column = libpq.identifier(sequence.column)
        (highest, first, most) = self._connection.row(
            f"select (select max({column}) from {plan.target.sql})::int8, seqstart, seqmax"
            " from pg_catalog.pg_sequence where seqrelid = $1::regclass",
            sequence.name,
        )
        return max((highest or 0) + 1, given + 1, first), most

    def commit(self) -> None:
        """Keep everything, which is not to be kept already."""
        (now,) = self._connection.row("select pg_catalog.txid_current_if_assigned()")
        assert now == self._transaction, "the transaction of the load has ended before"
        self._connection.execute("commit")

    def rollback(self) -> None:
        """Keep nothing; the server does the same for a connection that is lost."""
        with contextlib.suppress(libpq.Error):
            self._connection.execute("rollback")


def _printed(column: wanted.Column) -> str:
    """SQL for a value, or its SHA-256 where the source too compares no more than that."""
    name = libpq.identifier(column.name)
    if column.base == "bytea":
        return (
            f"case when octet_length({name}) > {HUGE_BYTES} then"
            f" 'sha256:' || encode(sha256({name}), 'hex') else '\\x' || encode({name}, 'hex') end"
        )
    return (
        f"case when octet_length({name}::text) > {HUGE_BYTES} then 'sha256:' ||"
        f" encode(sha256(convert_to({name}::text, 'UTF8')), 'hex') else {name}::text end"
    )
