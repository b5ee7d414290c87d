"""Catalogs of real databases."""

from contextlib import closing

from bootstrap import catalog, libpq, target

VERSION_TABLE = (None, "alembic_version")


def driver_url(url: str) -> str:
    """The URL as SQLAlchemy wants it."""
    where = target.parse(url)
    return url if where.path is not None else where.url("psycopg")


def connect(url: str) -> libpq.Connection:
    """A connection without SQLAlchemy; the caller closes it."""
    return libpq.reach(target.parse(url).conninfo())


def read(connection: libpq.Connection) -> catalog.Catalog:
    """The catalog of a PostgreSQL database, without Alembic's table."""
    return catalog.read_postgres(connection, version_table=VERSION_TABLE)


def read_url(url: str) -> catalog.Catalog:
    """The catalog of a database, without Alembic's table."""
    where = target.parse(url)
    if where.path is not None:
        return catalog.read_sqlite(where.path, version_table=VERSION_TABLE)
    with closing(connect(url)) as connection:
        return read(connection)
