"""What is wrong with a database although its schema is as wanted."""

import os
import sqlite3

from bootstrap.catalog import postgres, postgres_flaws, sqlite_flaws
from bootstrap.catalog.model import Catalog, Finding


def flaws(
    connection: postgres.Connection | sqlite3.Connection | str | os.PathLike[str],
    *,
    version_table: tuple[str | None, str],
    wanted: Catalog | None = None,
    app_role: str | None = None,
    limit_s: float = 1.0,
) -> tuple[Finding, ...]:
    """The flaws of a PostgreSQL or SQLite database, each with its fix where there is one.

    PostgreSQL: invalid indexes, constraints that were never validated, disabled triggers (not those
    that `wanted` has disabled), sequences that would give a number that is there, collations of
    another version than the system's, owners that differ within a schema, and what `app_role`, the
    role of the app when it runs, may do too much or too little. SQLite: rows that refer to nothing,
    a damaged file, counters behind their tables; each check takes at most `limit_s`. What was not
    checked for being dear is said as `not-checked`. Raises what the connection raises.
    """
    if isinstance(connection, sqlite3.Connection | str | os.PathLike):
        return tuple(sqlite_flaws.find(connection, version_table[1], limit_s))
    return tuple(postgres_flaws.find(connection, version_table, wanted, app_role))
