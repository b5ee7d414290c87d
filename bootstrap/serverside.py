"""What a database does by itself, in the words of each dialect: views, triggers."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from bootstrap import models

# What the triggers of PostgreSQL call.
UPDATED_AT = """\
CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$"""


def attach(
    metadata: sa.MetaData,
    made: Callable[[str], Sequence[str]],
    dropped: Callable[[str], Sequence[str]],
) -> None:
    """Have `create_all` run the statements `made(dialect)` after it has made the tables.

    `drop_all` runs `dropped(dialect)` before it drops them.
    """

    def create(_: sa.MetaData, connection: sa.Connection, **__: Any) -> None:
        for statement in made(connection.dialect.name):
            connection.exec_driver_sql(statement)

    def drop(_: sa.MetaData, connection: sa.Connection, **__: Any) -> None:
        for statement in dropped(connection.dialect.name):
            connection.exec_driver_sql(statement)

    sa.event.listen(metadata, "after_create", create)
    sa.event.listen(metadata, "before_drop", drop)


def updated_at(table: str, dialect: str) -> str:
    """The trigger by which each update of a row of `table` sets `updated_at`, a `models.Time`."""
    name = f"CREATE TRIGGER update_{table}_updated_at"
    if dialect == "postgresql":
        return (
            f"{name} BEFORE UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"
        )
    # A trigger of SQLite cannot change the row on its way. Its own change does not fire it again.
    return (
        f"{name} AFTER UPDATE ON {table} FOR EACH ROW BEGIN"
        f" UPDATE {table} SET updated_at = {models.SQLITE_NOW} WHERE id = NEW.id; END"
    )


def seconds(start: str, end: str, dialect: str) -> str:
    """The seconds from `start` to `end`, each an expression for a `models.Time`."""
    if dialect == "postgresql":
        return f"EXTRACT(EPOCH FROM {end} - {start})"
    # SQLite's own functions of time know no more than milliseconds, and round them.
    return (
        f"strftime('%s', substr({end}, 1, 19)) - strftime('%s', substr({start}, 1, 19))"
        f" + (substr({end}, 20, 7) - substr({start}, 20, 7))"
    )


def ago(span: str, dialect: str) -> str:
    """The moment before now by `span`, such as "24 hours", as a `models.Time`."""
    if dialect == "postgresql":
        return f"now() - INTERVAL '{span}'"
    return f"strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-{span}')"


def now(dialect: str) -> str:
    """This moment, as a `models.Time`."""
    return "now()" if dialect == "postgresql" else models.SQLITE_NOW
