"""Real transactions around DDL on SQLite, which Python's driver does not give by itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from .project import Project

# Marks in a connection's info: the statement under way cut the transaction; what to run at the
# next begin.
CUT = "bootstrapd cut"
_AT_BEGIN = "bootstrapd at begin"

# What SQLite refuses or, worse, ignores inside a transaction.
_ALONE = re.compile(
    r"\s*(vacuum|attach|detach|pragma\s+(\w+\.)?(foreign_keys|journal_mode|synchronous)\s*[=(])",
    re.IGNORECASE,
)
_FOREIGN_KEYS_ON = re.compile(
    r"\s*pragma\s+foreign_keys\s*(=|\()\s*['\"]?(on|1|true|yes)\b", re.IGNORECASE
)


def prepare(project: Project, is_other: Callable[[Any], bool]) -> None:
    """Take the transactions of every connection in hand, but for drivers of another database."""

    @sa.event.listens_for(sa.engine.Engine, "do_connect")
    def opening(dialect: Any, _: Any, args: list[Any], _options: Any) -> None:
        # Whoever was told the file's name before it was moved is led to the copy.
        if dialect.name == "sqlite" and args and project.moved and _same(args[0], project.moved[0]):
            args[0] = project.moved[1]

    @sa.event.listens_for(sa.engine.Engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        if is_other(connection):
            return
        connection.isolation_level = None
        if project.request["reads"] and not project.moved:
            cursor = connection.cursor()
            cursor.execute("PRAGMA query_only = on")
            cursor.close()

    @sa.event.listens_for(sa.engine.Engine, "begin")
    def begun(connection: Any) -> None:
        if connection.dialect.name != "sqlite":
            return
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            begin(connection.connection)

    # A revision that turns foreign keys off to rebuild a table would, were that ignored, delete
    # rows by cascade. So the transaction is cut around such a statement. Turning them on can wait
    # for the end of the transaction: so the revision and its stamp stay together.
    @sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
    def cut(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not _ALONE.match(statement) or connection.dialect.name != "sqlite":
            return
        if not connection.connection.driver_connection.in_transaction:
            return
        if _FOREIGN_KEYS_ON.match(statement):
            connection.info[_AT_BEGIN] = statement
        else:
            project.step.cut_transaction()
            cursor.execute("COMMIT")
            connection.info[CUT] = True

    @sa.event.listens_for(sa.engine.Engine, "after_cursor_execute")
    def resumed(connection: Any, cursor: Any, *_: Any) -> None:
        if connection.info.pop(CUT, False):
            cursor.execute("BEGIN")


def begin(connection: Any) -> None:
    """Begin a transaction on a driver's connection."""
    cursor = connection.cursor()
    waiting = connection.info.pop(_AT_BEGIN, None)
    if waiting:
        cursor.execute(waiting)
    cursor.execute("BEGIN")
    cursor.close()


def _same(path: Any, other: str) -> bool:
    plain = str(path)
    if plain.startswith("file:"):
        plain = plain[len("file:") :].partition("?")[0]
    return bool(plain) and os.path.realpath(plain) == os.path.realpath(other)
