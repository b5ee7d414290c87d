"""The target's tables as its catalog describes them, which knows more than any model."""

from collections.abc import Mapping
from typing import Any

from bootstrap import libpq
from bootstrap.catalog.words import literal
from bootstrap.errors import DriftError
from bootstrap.move import wanted
from bootstrap.postgres import OWN_SCHEMAS

_BASES = (
    *("bool", "int2", "int4", "int8", "float4", "float8", "numeric"),
    *("text", "varchar", "bpchar", "uuid", "json", "jsonb", "bytea"),
    *("timestamp", "timestamptz", "date", "time"),
)

_QUERY = f"""
with t as (
  select c.oid, c.relname, c.relkind, c.relreplident, c.oid::regclass::text as sql
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where {OWN_SCHEMAS} and c.relkind in ('r', 'p') and not c.relispartition
     and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_class'::regclass
                      and d.objid = c.oid and d.deptype = 'e'))
select json_build_object(
  'name', t.relname, 'sql', t.sql, 'partitioned', t.relkind = 'p',
  'columns', (
    select json_agg(json_build_object(
        'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'base', case when y.typtype = 'e' then 'enum'
                     when y.typtype = 'b' and y.typnamespace = 'pg_catalog'::regnamespace
                     then y.typname else 'other' end,
        'modifier', substring(pg_catalog.format_type(a.atttypid, a.atttypmod)
                              from '\\(([0-9,-]+)\\)'),
        'not_null', a.attnotnull, 'has_default', a.atthasdef or a.attidentity <> '',
        'generated', a.attgenerated <> '',
        'bare', pg_catalog.format_type((
          with recursive below as (
            select y.oid, y.typtype, y.typbasetype
            union all select b.oid, b.typtype, b.typbasetype
              from below join pg_catalog.pg_type b on b.oid = below.typbasetype)
          select oid from below where typtype <> 'd'), -1),
        'labels', (select json_agg(e.enumlabel order by e.enumsortorder)
                     from pg_catalog.pg_enum e where e.enumtypid = y.oid)) order by a.attnum)
      from pg_catalog.pg_attribute a join pg_catalog.pg_type y on y.oid = a.atttypid
     where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped),
  'keys', (
    select json_agg(json_build_object(
        'name', x.relname, 'primary', i.indisprimary,
        'nulls_equal', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
        'columns', (select json_agg(a.attname order by k.place)
                      from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k (number, place)
                      join pg_catalog.pg_attribute a
                        on a.attrelid = t.oid and a.attnum = k.number)) order by x.relname)
      from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
     where i.indrelid = t.oid and i.indisunique and i.indpred is null and i.indexprs is null),
  'partial_keys', (
    select json_agg(json_build_object(
        'name', x.relname, 'where', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
        'nulls_equal', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
        'terms', (select json_agg(pg_catalog.pg_get_indexdef(i.indexrelid, n, false) order by n)
                    from generate_series(1, i.indnkeyatts) n)) order by x.relname)
      from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
     where i.indrelid = t.oid and i.indisunique
       and (i.indpred is not null or i.indexprs is not null)),
  'constraints', (
    select json_agg(json_build_object(
        'name', k.conname, 'kind', k.contype, 'definition', pg_catalog.pg_get_constraintdef(k.oid),
        'expression', pg_catalog.pg_get_expr(k.conbin, k.conrelid),
        'comment', pg_catalog.obj_description(k.oid, 'pg_constraint'),
        'referred_sql', f.oid::regclass::text,
        -- A definition does not tell where an index is kept and how.
        'plain', k.contype in ('p', 'u') and x.reloptions is null and x.reltablespace = 0
          and not i.indisclustered and t.relreplident in ('d', 'n') and t.relkind = 'r'
          and not exists (select from pg_catalog.pg_depend d
            where d.refclassid = 'pg_constraint'::regclass and d.refobjid = k.oid
              and d.deptype = 'n' and d.classid <> 'pg_constraint'::regclass),
        'pure', not exists (select from pg_catalog.pg_depend d
          join pg_catalog.pg_proc p on p.oid = d.refobjid and p.provolatile <> 'i'
          where d.classid = 'pg_constraint'::regclass and d.objid = k.oid
            and d.refclassid = 'pg_proc'::regclass),
        'index_comment', pg_catalog.obj_description(x.oid, 'pg_class'),
        'index', x.relname,
        'columns', (select json_agg(a.attname order by place)
                      from unnest(k.conkey) with ordinality c (number, place)
                      join pg_catalog.pg_attribute a
                        on a.attrelid = k.conrelid and a.attnum = number),
        'referred', (select json_agg(a.attname order by place)
                      from unnest(k.confkey) with ordinality c (number, place)
                      join pg_catalog.pg_attribute a
                        on a.attrelid = k.confrelid and a.attnum = number),
        'table', f.relname) order by k.contype desc, k.conname)
      from pg_catalog.pg_constraint k
      left join pg_catalog.pg_class f on f.oid = k.confrelid
      left join pg_catalog.pg_class x on x.oid = k.conindid
      left join pg_catalog.pg_index i on i.indexrelid = k.conindid
     where k.conrelid = t.oid and k.contype in ('p', 'u', 'f', 'c')),
  'indexes', (
    select json_agg(json_build_object(
        'sql', x.oid::regclass::text, 'definition', pg_catalog.pg_get_indexdef(x.oid),
        'comment', pg_catalog.obj_description(x.oid, 'pg_class')) order by x.relname)
      from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
     where i.indrelid = t.oid and t.relkind = 'r' and i.indisvalid and not i.indisclustered
       and not i.indisreplident
       and not exists (select from pg_catalog.pg_constraint k
                        where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
       and not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = x.oid and a.attstattarget >= 0)),
  'triggers', (
    select json_agg(json_build_object('name', g.tgname, 'enabled', g.tgenabled) order by g.tgname)
      from pg_catalog.pg_trigger g
     where g.tgrelid = t.oid and not g.tgisinternal and g.tgenabled <> 'D'),
  'sequences', (
    select json_agg(json_build_object('name', s.oid::regclass::text, 'column', a.attname,
                                      'identity', a.attidentity <> '',
                                      'increment', q.seqincrement) order by a.attnum)
      from pg_catalog.pg_attribute a
      left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
      join pg_catalog.pg_depend d on
           (d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
            and d.deptype = 'i' and d.refobjid = a.attrelid and d.refobjsubid = a.attnum)
        or (d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
            and d.refclassid = 'pg_class'::regclass)
      join pg_catalog.pg_class s on s.relkind = 'S' and s.oid =
           case when d.classid = 'pg_class'::regclass then d.objid else d.refobjid end
      join pg_catalog.pg_sequence q on q.seqrelid = s.oid
     where a.attrelid = t.oid and a.attnum > 0))
  from t order by t.relname, t.sql
"""


def tables(connection: libpq.Connection, version_table: str) -> dict[str, wanted.Table]:
    """The app's tables by name, the version table left out.

    Raises DriftError where two have one name.
    """
    rows = [row for (row,) in connection.execute(_QUERY) if row["name"] != version_table]
    found: dict[str, wanted.Table] = {}
    for table in map(_table, rows):
        if table.name in found:
            raise DriftError(
                f"the target has two tables named {table.name}, {found[table.name].sql} and "
                f"{table.sql}: a SQLite file has one, and which of them is meant nobody says; "
                "nothing was moved; move into a database that has one, then bring up the other"
            )
        found[table.name] = table
    return found


def _table(row: Mapping[str, Any]) -> wanted.Table:
    constraints = row["constraints"] or ()
    of = {
        kind: [each for each in constraints if each["kind"] == kind]
        for kind in ("f", "c", "p", "u")
    }
    return wanted.Table(
        name=row["name"],
        sql=row["sql"],
        partitioned=row["partitioned"],
        columns=tuple(map(_column, row["columns"] or ())),
        keys=tuple(
            wanted.Key(each["name"], tuple(each["columns"]), each["primary"], each["nulls_equal"])
            for each in row["keys"] or ()
        ),
        partial_keys=tuple(
            wanted.PartialKey(
                each["name"], tuple(each["terms"]), each["where"], each["nulls_equal"]
            )
            for each in row["partial_keys"] or ()
        ),
        references=tuple(
            wanted.Reference(
                each["name"], tuple(each["columns"]), each["table"], tuple(each["referred"])
            )
            for each in of["f"]
        ),
        checks=tuple(
            wanted.Check(
                each["name"], each["expression"], tuple(each["columns"] or ()), each["pure"]
            )
            for each in of["c"]
        ),
        sequences=tuple(wanted.Numbering(**each) for each in row["sequences"] or ()),
        foreign=tuple(_constraint(row["sql"], each) for each in of["f"]),
        indexes=(
            *(_index(each) for each in row["indexes"] or ()),
            *(_constraint(row["sql"], each) for each in (*of["p"], *of["u"]) if each["plain"]),
        ),
        triggers=tuple(_trigger(row["sql"], each) for each in row["triggers"] or ()),
    )


def _column(row: Mapping[str, Any]) -> wanted.Column:
    base = row["base"] if row["base"] in (*_BASES, "enum") else "other"
    # A scale below zero has a meaning of its own, which is rare enough to be left to the server.
    modifier = tuple(int(number) for number in (row["modifier"] or "").split(",") if number)
    if any(number < 0 for number in modifier):
        base = "other"
    return wanted.Column(
        name=row["name"],
        type=row["type"],
        base=base,
        modifier=modifier,
        not_null=row["not_null"],
        has_default=row["has_default"],
        generated=row["generated"],
        labels=tuple(row["labels"] or ()),
        bare=row["bare"],
    )


def _constraint(table: str, row: Mapping[str, Any]) -> wanted.Step:
    name = libpq.identifier(row["name"])
    redo = [f"alter table {table} add constraint {name} {row['definition']}"]
    if row["comment"]:
        redo.append(f"comment on constraint {name} on {table} is {literal(row['comment'])}")
    return wanted.Step(f"alter table {table} drop constraint {name}", tuple(redo))


def _index(row: Mapping[str, Any]) -> wanted.Step:
    redo = [row["definition"]]
    if row["comment"]:
        redo.append(f"comment on index {row['sql']} is {literal(row['comment'])}")
    return wanted.Step(f"drop index {row['sql']}", tuple(redo))


def _trigger(table: str, row: Mapping[str, Any]) -> wanted.Step:
    name = libpq.identifier(row["name"])
    how = {"O": "enable", "A": "enable always", "R": "enable replica"}[row["enabled"]]
    return wanted.Step(
        f"alter table {table} disable trigger {name}",
        (f"alter table {table} {how} trigger {name}",),
    )
