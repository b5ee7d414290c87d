"""Whether the role that an app runs as may do what it needs, and no DDL."""

from collections.abc import Iterator, Sequence
from typing import Any

from bootstrap.catalog.model import Finding
from bootstrap.catalog.postgres import Connection

_ROLE = """
select quote_ident(r.rolname), r.rolsuper, r.rolcreaterole, quote_ident(current_database()),
       pg_catalog.pg_has_role(r.oid, d.datdba, 'usage'),
       pg_catalog.has_database_privilege(r.oid, d.oid, 'create'),
       exists (select from aclexplode(d.datacl) a where a.grantee = 0
                and a.privilege_type = 'CREATE'),
       quote_ident(current_user)
  from pg_catalog.pg_roles r, pg_catalog.pg_database d
 where r.rolname = $1 and d.datname = current_database()
"""
_SCHEMAS = """
select quote_ident(n.nspname), pg_catalog.pg_has_role(r.oid, n.nspowner, 'usage'),
       pg_catalog.has_schema_privilege(r.oid, n.oid, 'create'),
       exists (select from aclexplode(n.nspacl) a where a.grantee = 0
                and a.privilege_type = 'CREATE'),
       pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage')
  from pg_catalog.pg_roles r, pg_catalog.pg_namespace n
 where r.rolname = $1 and n.nspname !~ '^pg_'
   and n.nspname not in ('information_schema', 'bootstrapd')
   and exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid
                and c.relkind in ('r', 'p'))
 order by 1
"""
# bootstrapd's and Alembic's own tables are not the app's to write.
_TABLES = """
select c.oid::regclass::text,
       case c.relkind when 'S' then 'SEQUENCE' else 'TABLE' end,
       pg_catalog.pg_has_role(r.oid, c.relowner, 'usage'),
       case when c.relkind = 'S'
         then array_remove(array[case when not has_sequence_privilege(r.oid, c.oid, 'usage')
                and not has_sequence_privilege(r.oid, c.oid, 'update') then 'USAGE' end], null)
         else (select coalesce(array_agg(p order by place), '{}')
                 from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) with ordinality
                   as wanted (p, place)
                where not pg_catalog.has_table_privilege(r.oid, c.oid, p)) end::text
  from pg_catalog.pg_roles r, pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where r.rolname = $1 and c.relkind in ('r', 'p', 'S') and not c.relispartition
   and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'bootstrapd')
   and c.relname <> $2
   and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_class'::regclass
                    and e.objid = c.oid and e.deptype in ('e', 'i'))
 order by 1
"""


def find(
    connection: Connection, role: str, version_table: tuple[str | None, str]
) -> Iterator[Finding]:
    """What the role may do too much, then what it may do too little."""
    rows = connection.execute(_ROLE, role)
    if not rows:
        yield Finding("ddl-role", f"role {role}", "a role for the app", "nothing")
        return
    name, superuser, makes_roles, database, owns, creates, by_public, me = rows[0]
    title = f"role {name}"
    if superuser:
        fix = f"ALTER ROLE {name} NOSUPERUSER"
        yield _role(title, "a role that only reads and writes rows", "a superuser", fix)
        # Whatever else it may do comes from that.
        return
    if makes_roles:
        fix = f"ALTER ROLE {name} NOCREATEROLE"
        yield _role(title, "a role that makes no roles", "CREATEROLE", fix)
    heir = me if me != name else ""
    if owns:
        yield _owned(title, "DATABASE", database, heir)
    elif creates:
        fix = f"REVOKE CREATE ON DATABASE {database} FROM {'PUBLIC' if by_public else name}"
        yield _role(title, f"no right to make schemas in {database}", "CREATE", fix)
    for schema, has, makes, public, uses in connection.execute(_SCHEMAS, role):
        if has:
            yield _owned(title, "SCHEMA", schema, heir)
        elif makes:
            fix = f"REVOKE CREATE ON SCHEMA {schema} FROM {'PUBLIC' if public else name}"
            yield _role(title, f"no right to make tables in schema {schema}", "CREATE", fix)
        if not uses:
            fix = f"GRANT USAGE ON SCHEMA {schema} TO {name}"
            yield _role(title, f"USAGE on schema {schema}", "nothing", fix)
    yield from _tables(connection.execute(_TABLES, role, version_table[1]), name, heir)


def _tables(rows: Sequence[Sequence[Any]], role: str, heir: str) -> Iterator[Finding]:
    for table, kind, owns, lacking in rows:
        if owns:
            yield _owned(f"role {role}", kind, table, heir)
            continue
        rights = lacking.strip("{}").replace(",", ", ")
        if rights:
            fix = f"GRANT {rights} ON {kind} {table} TO {role}"
            yield _role(f"role {role}", f"{rights} on {kind.lower()} {table}", "nothing", fix)


def _role(title: str, wanted: str, found: str, fix: str) -> Finding:
    return Finding("ddl-role", title, wanted, found, fix=(fix,))


def _owned(title: str, kind: str, name: str, heir: str) -> Finding:
    """Whoever owns a thing may alter and drop it; `heir` is who might own it instead."""
    return Finding(
        "ddl-role",
        title,
        f"that another role owns {kind.lower()} {name}",
        "that it does",
        fix=(f"ALTER {kind} {name} OWNER TO {heir}",) if heir else (),
        note="" if heir else f"run ALTER {kind} {name} OWNER TO the role that migrates",
    )
