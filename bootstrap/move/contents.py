"""What is in the tables of a PostgreSQL database, as the server itself sums it up."""

from collections.abc import Mapping

from bootstrap import postgres
from bootstrap.postgres import OWN_SCHEMAS

_TABLES = f"""
select c.oid::pg_catalog.regclass::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {OWN_SCHEMAS} and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> $1
order by 1
"""
# A sum does not depend on the order of the rows; 60 bits of each are as many as a bigint takes.
_SUM = """
select pg_catalog.count(*) || ' '
       || coalesce(pg_catalog.sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0)
from {} t
"""
# What the text of a row depends on.
_SESSION = (
    "begin isolation level repeatable read read only",
    "set local search_path = ''",
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO, YMD'",
    "set local intervalstyle = 'postgres'",
    "set local bytea_output = 'hex'",
    "set local extra_float_digits = 1",
    "set local statement_timeout = 0",
)


def digests(base: postgres.Postgres, version_table: str) -> Mapping[str, str]:
    """By table: how many rows it has, and a digest of them; all as of one moment.

    Left out are bootstrapd's own tables and the version table.
    """
    for statement in _SESSION:
        base.connection.execute(statement)
    try:
        tables = [str(table) for (table,) in base.connection.execute(_TABLES, version_table)]
        sums = {table: base.connection.row(_SUM.format(table))[0] for table in tables}
        return {table.removeprefix("public."): str(found) for table, found in sums.items()}
    finally:
        base.connection.execute("rollback")
