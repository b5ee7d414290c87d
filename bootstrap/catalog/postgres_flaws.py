"""The flaws of a PostgreSQL database: few small queries, and one for the largest numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

from bootstrap.catalog import postgres_roles, words
from bootstrap.catalog.model import Catalog, Finding
from bootstrap.catalog.postgres import Connection

# A table of so many bytes is read in no time.
_SMALL = 8 * 1024 * 1024

_SCOPE = """
    n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'bootstrapd')
    and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_class'::regclass
                     and e.objid = c.oid and e.deptype = 'e')
"""
# One that is being built is none; nor is the index of a partitioned table, whose parts count.
_INDEXES = f"""
select i.indexrelid::regclass::text, i.indrelid::regclass::text,
       x.relname ~ '_cc(new|old)[0-9]*$', i.indisexclusion
  from pg_catalog.pg_index i
  join pg_catalog.pg_class x on x.oid = i.indexrelid and x.relkind = 'i'
  join pg_catalog.pg_class c on c.oid = i.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where not (i.indisvalid and i.indisready and i.indislive) and {_SCOPE}
   and not exists (select from pg_catalog.pg_stat_progress_create_index p
                    where p.index_relid = i.indexrelid)
 order by 1
"""
# Before 18 every constraint is enforced.
_CONSTRAINTS = f"""
select 'TABLE', c.oid::regclass::text, quote_ident(k.conname)
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid and c.relkind <> 'f'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where not k.convalidated and k.conparentid = 0 and {_SCOPE}
   and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
union all
select 'DOMAIN', k.contypid::regtype::text, quote_ident(k.conname)
  from pg_catalog.pg_constraint k join pg_catalog.pg_namespace n on n.oid = k.connamespace
 where not k.convalidated and k.contypid <> 0 and n.nspname !~ '^pg_'
 order by 2, 3
"""
_TRIGGERS = f"""
select c.oid::regclass::text, quote_ident(t.tgname), quote_ident(k.conname)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_constraint k on k.oid = t.tgconstraint and t.tgisinternal
 where t.tgenabled = 'D' and {_SCOPE}
 order by 1, 2
"""
# Whoever owns a sequence, or has it as its default. `cheap`: an index gives the largest number.
_SEQUENCES = f"""
with used (sequence, relid, number) as (
  select d.objid, d.refobjid, d.refobjsubid
    from pg_catalog.pg_depend d
   where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
     and d.refobjsubid > 0 and d.deptype in ('a', 'i')
  union
  select d.refobjid, x.adrelid, x.adnum
    from pg_catalog.pg_depend d join pg_catalog.pg_attrdef x on x.oid = d.objid
   where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
)
select s.oid::regclass::text, c.oid::regclass::text, quote_ident(a.attname), q.seqincrement,
       case when q.seqincrement > 0 then 'max' else 'min' end,
       pg_catalog.has_table_privilege(c.oid, 'select')
         and pg_catalog.has_sequence_privilege(s.oid, 'select'),
       pg_catalog.pg_relation_size(c.oid) <= {_SMALL} and c.relkind <> 'p'
         or exists (select from pg_catalog.pg_index i
                     join pg_catalog.pg_class x on x.oid = i.indexrelid
                     join pg_catalog.pg_am m on m.oid = x.relam and m.amname = 'btree'
                    where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid
                      and i.indpred is null)
  from pg_catalog.pg_class s
  join pg_catalog.pg_sequence q on q.seqrelid = s.oid and not q.seqcycle
  join used on used.sequence = s.oid
  join pg_catalog.pg_class c on c.oid = used.relid and c.relkind in ('r', 'p')
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = used.number
   and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
 where {_SCOPE}
   -- No number is there where no row is, as in all tables that were just made.
   and (c.relkind = 'p' or pg_catalog.pg_relation_size(c.oid) > 0)
 order by 1, 2, 3
"""
# The database's own collation is that of every index without another one.
_COLLATIONS = """
with stale (oid, statement, title, wanted, found) as (
  select 100::oid, format('ALTER DATABASE %I REFRESH COLLATION VERSION', d.datname),
         'collation of the database ' || quote_ident(d.datname),
         pg_catalog.pg_database_collation_actual_version(d.oid), d.datcollversion
    from pg_catalog.pg_database d where d.datname = current_database()
  union all
  select k.oid, format('ALTER COLLATION %s REFRESH VERSION', k.oid::regcollation),
         'collation ' || k.oid::regcollation::text,
         pg_catalog.pg_collation_actual_version(k.oid), k.collversion
    from pg_catalog.pg_collation k where k.collversion is not null
)
select s.title, s.statement, s.wanted, s.found,
       coalesce(json_agg(json_build_array(x.name, x.exclusion) order by x.name)
         filter (where x.name is not null), '[]')
  from stale s
  left join lateral (
    select i.indexrelid::regclass::text as name, i.indisexclusion as exclusion
      from pg_catalog.pg_index i
      join pg_catalog.pg_class y on y.oid = i.indexrelid and y.relkind = 'i'
      join pg_catalog.pg_class c on c.oid = i.indrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where s.oid = any (i.indcollation) and n.nspname !~ '^pg_toast'
  ) x on true
 where s.wanted is distinct from s.found and s.wanted is not null
 group by 1, 2, 3, 4
having s.title like 'collation of%' or count(x.name) > 0
 order by 1
"""
# Only of schemas with more than one owner: one that has all needs no look at each.
_OWNERS = f"""
select n.nspname, c.oid::regclass::text, quote_ident(pg_catalog.pg_get_userbyid(c.relowner)),
       case c.relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW'
            when 'S' then 'SEQUENCE'
            when 'f' then 'FOREIGN TABLE' else 'TABLE' end,
       c.relkind in ('r', 'p')
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and {_SCOPE}
   and n.oid in (select o.relnamespace from pg_catalog.pg_class o group by o.relnamespace
                 having min(o.relowner) <> max(o.relowner))
   -- A sequence that a column owns goes with its table.
   and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_class'::regclass
                    and d.objid = c.oid and d.refobjsubid > 0 and d.deptype in ('a', 'i'))
 order by 1, 2
"""


def find(
    connection: Connection,
    version_table: tuple[str | None, str],
    wanted: Catalog | None,
    app_role: str | None,
) -> Iterator[Finding]:
    """All flaws, those first whose mending may help to mend the others."""
    yield from _indexes(connection.execute(_INDEXES))
    yield from _collations(connection.execute(_COLLATIONS))
    yield from _constraints(connection.execute(_CONSTRAINTS))
    yield from _triggers(connection.execute(_TRIGGERS), wanted)
    yield from _sequences(connection)
    yield from _owners(connection.execute(_OWNERS))
    if app_role is not None:
        yield from postgres_roles.find(connection, app_role, version_table)


def _indexes(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for index, table, leftover, exclusion in rows:
        fix = f"DROP INDEX CONCURRENTLY {index}" if leftover else _reindex(index, exclusion)
        note = "left behind by REINDEX CONCURRENTLY" if leftover else ""
        yield Finding(
            "invalid-index",
            f"index {index} on {table}",
            "a valid index",
            "an invalid one",
            fix=(fix,),
            note=note,
        )


def _reindex(index: str, exclusion: bool) -> str:
    return f"REINDEX INDEX {'' if exclusion else 'CONCURRENTLY '}{index}"


def _constraints(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for kind, table, name in rows:
        yield Finding(
            "not-validated",
            f"constraint {name} on {table}",
            "that all rows were checked",
            "NOT VALID",
            fix=(f"ALTER {kind} {table} VALIDATE CONSTRAINT {name}",),
        )


def _triggers(rows: Sequence[Sequence[Any]], wanted: Catalog | None) -> Iterator[Finding]:
    meant = {
        (each.table, each.name)
        for each in (wanted.objects if wanted else ())
        if each.kind == "trigger" and each.properties.get("enabled") == "no"
    }
    for table, name, constraint in rows:
        if (table, name) in meant:
            continue
        of_key = f" of constraint {constraint}" if constraint is not None else ""
        yield Finding(
            "disabled-trigger",
            f"trigger {name} on {table}",
            f"an enabled trigger{of_key}",
            "a disabled one",
            fix=(f"ALTER TABLE {table} ENABLE TRIGGER {name}",),
            note="only a superuser may enable it" if of_key else "",
        )


def _sequences(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(_SEQUENCES)
    for sequence, table, column, _, _, readable, cheap in rows:
        if not (readable and cheap):
            yield Finding(
                "not-checked",
                f"sequence {sequence}",
                f"to be ahead of {table}.{column}",
                "no index that gives its largest number"
                if readable
                else "that the role may not read them",
            )
    checked = [row for row in rows if row[5] and row[6]]
    if not checked:
        return
    queries = [
        f"select {number}, (select {largest}({column}) from {table}),"
        f" (select last_value + case when is_called then {step} else 0 end from {sequence})"
        for number, (sequence, table, column, step, largest, _, _) in enumerate(checked)
    ]
    for number, there, following in connection.execute(" union all ".join(queries)):
        sequence, table, column, step, largest, _, _ = checked[number]
        if there is None or (following > there if step > 0 else following < there):
            continue
        value = f"(SELECT {largest}({column}) FROM {table})"
        yield Finding(
            "sequence-behind",
            f"sequence {sequence}",
            f"a next number beyond {there}, which is in {table}.{column}",
            str(following),
            fix=(f"SELECT pg_catalog.setval({words.literal(sequence)}, {value})",),
        )


def _collations(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for title, refresh, wanted, found, indexes in rows:
        shown = ", ".join(name for name, _ in indexes) or "none"
        yield Finding(
            "collation-version",
            title,
            f"version {wanted}",
            f"version {found}" if found else "no version",
            fix=(*(_reindex(name, exclusion) for name, exclusion in indexes), refresh),
            note=f"indexes that may be in the wrong order: {shown}",
        )


def _owners(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    schemas: dict[str, list[Sequence[Any]]] = {}
    for row in rows:
        schemas.setdefault(row[0], []).append(row)
    for schema, members in schemas.items():
        tables = [owner for _, _, owner, _, is_table in members if is_table]
        if not tables:
            continue
        usual = max(sorted(set(tables)), key=tables.count)
        for _, name, owner, kind, _ in members:
            if owner != usual:
                yield Finding(
                    "owner",
                    f"{kind.lower()} {name}",
                    f"owner {usual}, as most tables of schema {words.quoted(schema)} have",
                    f"owner {owner}",
                    fix=(f"ALTER {kind} {name} OWNER TO {usual}",),
                )
