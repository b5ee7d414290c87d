"""The one query that reads a PostgreSQL catalog; its rows are arrays, in the order of Object."""

from bootstrap.catalog import words

# What the server's deparsers write depends on these. The last two are for the plan: nobody knows
# how large a catalog is, and one pass over each of its tables is never far from the best.
_SESSION = """
set local datestyle = 'ISO';
set local intervalstyle = 'postgres';
set local timezone = 'UTC';
set local extra_float_digits = 1;
set local bytea_output = 'hex';
set local quote_all_identifiers = off;
set local standard_conforming_strings = on;
set local jit = off;
set local enable_nestloop = off;
select pg_catalog.set_config('search_path',
  coalesce(pg_catalog.quote_ident(current_schema()), 'public'), true);
"""

_SCOPE = """
with member as materialized (
  select classid, objid from pg_catalog.pg_depend where deptype = 'e'
),
scope as materialized (
  select n.oid, n.nspname, n.nspname = coalesce(current_schema(), 'public') as is_default,
         case when n.nspname = coalesce(current_schema(), 'public') then ''
              else quote_ident(n.nspname) || '.' end as prefix
    from pg_catalog.pg_namespace n
   where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'bootstrapd')
     and not exists (select from member m
                      where m.classid = 'pg_namespace'::regclass and m.objid = n.oid)
),
relation as materialized (
  select c.oid, c.relkind, c.relname, c.relpersistence, c.reloptions, c.relrowsecurity,
         c.relforcerowsecurity, c.relreplident, c.relispartition, c.relpartbound, c.relacl,
         c.relowner, s.prefix || quote_ident(c.relname) as name,
         quote_ident(s.nspname) || '.' || quote_ident(c.relname) as full_name
    from pg_catalog.pg_class c join scope s on s.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
     and not (c.relname = {name} and case when {schema}::text is null then s.is_default
                                          else s.nspname = {schema} end)
     and not exists (select from member m
                      where m.classid = 'pg_class'::regclass and m.objid = c.oid)
),
own_type as materialized (
  select t.oid, t.typtype, t.typnotnull, t.typbasetype, t.typtypmod, t.typdefault, t.typcollation,
         t.typrelid, s.prefix || quote_ident(t.typname) as name
    from pg_catalog.pg_type t join scope s on s.oid = t.typnamespace
   where t.typtype in ('c', 'd', 'e')
     and not exists (select from member m
                      where m.classid = 'pg_type'::regclass and m.objid = t.oid)
),
-- Below this number are the server's own objects, thousands of them, each with its comment.
words as materialized (
  select objoid, classoid, objsubid, description from pg_catalog.pg_description
   where objoid >= 16384
)
"""

# The deparsers of indexes, triggers, rules, functions and statistics write the schema of what they
# are of, whatever the search path.
_BRANCHES = {
    "schema": """
  select 'schema', '', quote_ident(s.nspname), 0,
         json_strip_nulls(json_build_object('comment', d.description)), null::json
    from scope s
    left join words d
      on d.objoid = s.oid and d.classoid = 'pg_namespace'::regclass
   where not s.is_default and s.nspname <> 'public'
""",
    "extension": """
  select 'extension', '', quote_ident(e.extname), 0, json_build_object(), null
    from pg_catalog.pg_extension e where e.extname <> 'plpgsql'
""",
    "table": """
  select 'table', '', c.name, 0,
         json_strip_nulls(json_build_object(
           'kind', case c.relkind when 'f' then 'foreign' end,
           'persistence', case c.relpersistence when 'u' then 'unlogged' end,
           'partition by', case c.relkind when 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
           'partition of', case when c.relispartition then
             (select i.inhparent::regclass::text from pg_catalog.pg_inherits i
               where i.inhrelid = c.oid) || ' '
             || pg_catalog.pg_get_expr(c.relpartbound, c.oid) end,
           'inherits', case when not c.relispartition then
             (select string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
                from pg_catalog.pg_inherits i where i.inhrelid = c.oid) end,
           'row security', case when c.relrowsecurity and c.relforcerowsecurity then 'forced'
             when c.relrowsecurity then 'enabled'
             when c.relforcerowsecurity then 'forced but not enabled' end,
           'replica identity', case c.relreplident when 'f' then 'full' when 'n' then 'nothing'
             when 'i' then (select 'index ' || quote_ident(x.relname)
               from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
              where i.indrelid = c.oid and i.indisreplident) end,
           'options', (select string_agg(option, ', ' order by option)
             from unnest(c.reloptions) option),
           'comment', d.description)), null
    from relation c
    left join words d
      on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
   where c.relkind in ('r', 'p', 'f')
""",
    # What a partition or a child has of its parent is the parent's.
    "column": """
  select 'column', c.name, quote_ident(a.attname), a.attnum,
         json_strip_nulls(json_build_object(
           'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
           'collation', case when a.attcollation <> t.typcollation
             then a.attcollation::regcollation::text end,
           'not null', case when a.attnotnull then 'yes' end,
           'default', case when a.attgenerated = ''
             then pg_catalog.pg_get_expr(x.adbin, x.adrelid) end,
           'generated', case when a.attgenerated <> ''
             then pg_catalog.pg_get_expr(x.adbin, x.adrelid)
                  || case a.attgenerated when 's' then ' stored' else ' virtual' end end,
           'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end
             || case when q.seqincrement <> 1 then ' increment by ' || q.seqincrement else '' end
             || case when q.seqstart <> case when q.seqincrement > 0 then q.seqmin else q.seqmax end
                  then ' start with ' || q.seqstart else '' end
             || case when q.seqcycle then ' cycle' else '' end,
           'comment', d.description)), null
    from relation c
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     and (a.attislocal or a.attinhcount = 0)
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef x on x.adrelid = a.attrelid and x.adnum = a.attnum
    left join (
      select p.refobjid, p.refobjsubid, i.*
        from pg_catalog.pg_depend p join pg_catalog.pg_sequence i on i.seqrelid = p.objid
       where p.classid = 'pg_class'::regclass and p.refclassid = 'pg_class'::regclass
         and p.deptype = 'i'
    ) q on q.refobjid = a.attrelid and q.refobjsubid = a.attnum
    left join words d
      on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = a.attnum
   where c.relkind in ('r', 'p', 'f')
""",
    # From 18 on not-null is a constraint with a name; whether it is there, the column says.
    "constraint": """
  select 'constraint', c.name, quote_ident(k.conname), 0,
         json_strip_nulls(json_build_object(
           'definition', regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
           'comment', d.description)), null
    from relation c
    join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype in ('p', 'u', 'f', 'c', 'x')
     and (k.conislocal or k.coninhcount = 0) and k.conparentid = 0
    left join words d
      on d.objoid = k.oid and d.classoid = 'pg_constraint'::regclass
""",
    "index": """
  select 'index', c.name, quote_ident(x.relname), 0,
         json_strip_nulls(json_build_object(
           'definition', overlay(made.text placing c.name
              from strpos(made.text, c.full_name) for length(c.full_name)),
           'comment', d.description)), null
    from relation c
    join pg_catalog.pg_index i on i.indrelid = c.oid
    join pg_catalog.pg_class x on x.oid = i.indexrelid and not x.relispartition
    cross join lateral (select pg_catalog.pg_get_indexdef(i.indexrelid) as text) made
    left join words d
      on d.objoid = x.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
   where not exists (select from pg_catalog.pg_constraint k
                      where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
""",
    "view": """
  select 'view', '', c.name, 0,
         json_strip_nulls(json_build_object(
           'kind', case c.relkind when 'm' then 'materialized' end,
           'definition', pg_catalog.pg_get_viewdef(c.oid),
           'options', (select string_agg(option, ', ' order by option)
             from unnest(c.reloptions) option),
           'comment', d.description)),
         json_strip_nulls(json_build_object('grants',
           (select string_agg(format('GRANT %s ON %s TO %s%s', g.privilege_type, c.name,
                     case g.grantee when 0 then 'PUBLIC' else g.grantee::regrole::text end,
                     case when g.is_grantable then ' WITH GRANT OPTION' else '' end), chr(10)
                     order by g.grantee, g.privilege_type)
              from aclexplode(c.relacl) g where g.grantee <> c.relowner)))
    from relation c
    left join words d
      on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
   where c.relkind in ('v', 'm')
""",
    "rule": """
  select 'rule', c.name, quote_ident(r.rulename), 0,
         json_build_object('definition', overlay(made.text placing c.name
           from strpos(made.text, c.full_name) for length(c.full_name))), null
    from relation c
    join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'
    cross join lateral (select pg_catalog.pg_get_ruledef(r.oid) as text) made
""",
    "sequence": """
  select 'sequence', '', c.name, 0,
         json_strip_nulls(json_build_object(
           'definition', format(
              'AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',
              pg_catalog.format_type(q.seqtypid, null), q.seqstart, q.seqincrement, q.seqmin,
              q.seqmax, q.seqcache, case when q.seqcycle then ' CYCLE' else ' NO CYCLE' end),
           'persistence', case c.relpersistence when 'u' then 'unlogged' end,
           'owned by', o.name || '.' || quote_ident(a.attname),
           'comment', d.description)), null
    from relation c join pg_catalog.pg_sequence q on q.seqrelid = c.oid
    left join pg_catalog.pg_depend p
      on p.classid = 'pg_class'::regclass and p.objid = c.oid and p.deptype = 'a'
     and p.refclassid = 'pg_class'::regclass and p.refobjsubid > 0
    left join relation o on o.oid = p.refobjid
    left join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum = p.refobjsubid
    left join words d
      on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
   where not exists (select from pg_catalog.pg_depend i
                      where i.classid = 'pg_class'::regclass and i.objid = c.oid
                        and i.deptype = 'i')
""",
    "function": """
  select 'function', '',
         s.prefix || quote_ident(p.proname)
           || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', 0,
         json_strip_nulls(json_build_object(
           'kind', case p.prokind when 'p' then 'procedure' end,
           'language', l.lanname,
           'arguments', nullif(pg_catalog.pg_get_function_arguments(p.oid), ''),
           'returns', pg_catalog.pg_get_function_result(p.oid),
           'volatility', case p.provolatile when 'i' then 'immutable' when 's' then 'stable' end,
           'definition', overlay(made.text placing s.prefix from strpos(made.text, made.schema)
              for length(made.schema)),
           'comment', d.description)), null
    from scope s
    join pg_catalog.pg_proc p on p.pronamespace = s.oid and p.prokind <> 'a'
    join pg_catalog.pg_language l on l.oid = p.prolang
    cross join lateral (select pg_catalog.pg_get_functiondef(p.oid) as text,
                               quote_ident(s.nspname) || '.' as schema) made
    left join words d
      on d.objoid = p.oid and d.classoid = 'pg_proc'::regclass
   where not exists (select from member m
                      where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
""",
    "aggregate": """
  select 'aggregate', '',
         s.prefix || quote_ident(p.proname)
           || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', 0,
         json_strip_nulls(json_build_object(
           'definition', format('SFUNC = %s, STYPE = %s', a.aggtransfn::regproc,
              pg_catalog.format_type(a.aggtranstype, null))
              || case when a.aggfinalfn <> 0
                   then ', FINALFUNC = ' || a.aggfinalfn::regproc::text else '' end
              || coalesce(', INITCOND = ' || quote_literal(a.agginitval), '')
              || case when p.proparallel = 's' then ', PARALLEL = SAFE' else '' end,
           'comment', d.description)), null
    from scope s
    join pg_catalog.pg_proc p on p.pronamespace = s.oid and p.prokind = 'a'
    join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
    left join words d
      on d.objoid = p.oid and d.classoid = 'pg_proc'::regclass
   where not exists (select from member m
                      where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
""",
    "trigger": """
  select 'trigger', c.name, quote_ident(t.tgname), 0,
         json_strip_nulls(json_build_object(
           'definition', overlay(made.text placing c.name
              from strpos(made.text, c.full_name) for length(c.full_name)),
           'enabled', case t.tgenabled when 'D' then 'no' when 'R' then 'on a replica'
             when 'A' then 'always' end,
           'comment', d.description)), null
    from relation c
    join pg_catalog.pg_trigger t
      on t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0
    cross join lateral (select pg_catalog.pg_get_triggerdef(t.oid) as text) made
    left join words d
      on d.objoid = t.oid and d.classoid = 'pg_trigger'::regclass
""",
    "policy": """
  select 'policy', c.name, quote_ident(p.polname), 0,
         json_strip_nulls(json_build_object(
           'kind', case when p.polpermissive then null else 'restrictive' end,
           'for', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
             when 'd' then 'delete' end,
           'to', (select string_agg(case role when 0 then 'public' else role::regrole::text end,
                    ', ' order by role::regrole::text) from unnest(p.polroles) role
                   where p.polroles <> '{0}'),
           'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
           'with check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
           'comment', d.description)), null
    from relation c join pg_catalog.pg_policy p on p.polrelid = c.oid
    left join words d
      on d.objoid = p.oid and d.classoid = 'pg_policy'::regclass
""",
    "enum": """
  select 'enum', '', t.name, 0,
         json_strip_nulls(json_build_object(
           'values', coalesce((select string_agg(quote_literal(e.enumlabel), chr(10)
               order by e.enumsortorder)
             from pg_catalog.pg_enum e where e.enumtypid = t.oid), ''),
           'comment', d.description)), null
    from own_type t
    left join words d on d.objoid = t.oid and d.classoid = 'pg_type'::regclass
   where t.typtype = 'e'
""",
    "domain": """
  select 'domain', '', t.name, 0,
         json_strip_nulls(json_build_object(
           'type', pg_catalog.format_type(t.typbasetype, t.typtypmod),
           'collation', case when t.typcollation <> b.typcollation
             then t.typcollation::regcollation::text end,
           'not null', case when t.typnotnull then 'yes' end,
           'default', t.typdefault,
           'checks', (select string_agg(quote_ident(k.conname) || ' '
               || regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', ''), chr(10)
               order by k.conname)
             from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c'),
           'comment', d.description)), null
    from own_type t join pg_catalog.pg_type b on b.oid = t.typbasetype
    left join words d on d.objoid = t.oid and d.classoid = 'pg_type'::regclass
   where t.typtype = 'd'
""",
    "composite": """
  select 'composite', '', t.name, 0,
         json_strip_nulls(json_build_object(
           'attributes', coalesce((select string_agg(quote_ident(a.attname) || ' '
               || pg_catalog.format_type(a.atttypid, a.atttypmod)
               || case when a.attcollation <> b.typcollation
                    then ' COLLATE ' || a.attcollation::regcollation::text else '' end, chr(10)
               order by a.attnum)
             from pg_catalog.pg_attribute a join pg_catalog.pg_type b on b.oid = a.atttypid
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), ''),
           'comment', d.description)), null
    from own_type t join pg_catalog.pg_class c on c.oid = t.typrelid and c.relkind = 'c'
    left join words d on d.objoid = t.oid and d.classoid = 'pg_type'::regclass
   where t.typtype = 'c'
""",
    "statistics": """
  select 'statistics', c.name, s.prefix || quote_ident(x.stxname), 0,
         json_build_object('definition', overlay(made.text placing s.prefix
           from strpos(made.text, made.schema) for length(made.schema))), null
    from relation c
    join pg_catalog.pg_statistic_ext x on x.stxrelid = c.oid
    join scope s on s.oid = x.stxnamespace
    cross join lateral (select pg_catalog.pg_get_statisticsobjdef(x.oid) as text,
                               quote_ident(s.nspname) || '.' as schema) made
""",
}


def read(version_schema: str | None, version_table: str, *, within: bool) -> str:
    """The statements that read a catalog, to be sent at once; the query's row is the only one.

    It is the server's version, the default schema, and the objects as JSON. They are a transaction
    of their own, or `within` one that is open they leave that as it was.
    """
    begin, end = "begin read only", "commit"
    if within:
        begin, end = "savepoint catalog", "rollback to catalog; release catalog"
    rows = "union all".join(_BRANCHES.values())
    scope = _SCOPE.format(
        name=words.literal(version_table),
        schema="null" if version_schema is None else words.literal(version_schema),
    )
    return (
        f"{begin};{_SESSION}{scope},"
        f" object (kind, tab, name, position, properties, aside) as ({rows})\n"
        "select current_setting('server_version'), coalesce(current_schema(), 'public'),\n"
        "  coalesce(json_agg(json_build_array(\n"
        "    kind, tab, name, position, properties, aside)), '[]')\n  from object;\n"
        f"{end};"
    )
