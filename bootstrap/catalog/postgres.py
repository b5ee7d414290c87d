"""The catalog of a PostgreSQL database, in one round trip and in the server's own words."""

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

from bootstrap.catalog import deparse, postgres_query
from bootstrap.catalog.model import Catalog, Object, catalog


class Connection(Protocol):
    """A session in autocommit mode, as `bootstrap.libpq.Connection` is one."""

    def execute(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        """The rows of the last of the statements that has some; JSON is read."""


def read(
    connection: Connection, *, version_table: tuple[str | None, str], within: bool = False
) -> Catalog:
    """What the database consists of; the first schema of its search path is the default one.

    Left out are what belongs to extensions, the schema `bootstrapd`, and the version table, given
    as (schema, name); without a schema it is the one in the default schema. `within` says that
    `connection` is in a transaction, which goes on; otherwise it must not be in one, for that would
    be committed. Raises what the connection raises, as when a table goes away meanwhile.
    """
    try:
        query = postgres_query.read(*version_table, within=within)
        ((server, schema, rows),) = connection.execute(query)
    except BaseException:
        if not within:
            _roll_back(connection)
        raise
    release = server.split()[0]
    before_16 = int(release.split(".")[0]) < 16
    return catalog(
        "postgresql",
        [_object(row, before_16) for row in rows],
        server=release,
        schema=schema,
    )


def _object(row: list[Any], before_16: bool) -> Object:
    kind, table, name, position, properties, aside = row
    if kind in ("function", "aggregate"):
        properties["definition"] = properties["definition"].rstrip()
    else:
        for key in deparse.TEXTS & properties.keys():
            properties[key] = deparse.expression(properties[key])
    if kind == "statistics":
        properties["definition"] = deparse.in_order(properties["definition"])
    if kind == "view":
        text = properties["definition"].strip().removesuffix(";")
        properties["definition"] = deparse.unqualified(text) if before_16 else text
    return Object(kind, table, name, properties, position, aside or {})


def _roll_back(connection: Connection) -> None:
    # The first error tells more than one of these would.
    with contextlib.suppress(Exception):
        connection.execute("rollback")
