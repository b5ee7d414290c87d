"""What may happen to a schema behind the revisions' back, of every kind and on both dialects."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bootstrap import catalog
from bootstrap.catalog import sqlite_words


@dataclass(frozen=True)
class Damage:
    """SQL that does it, and a name that must be in one of the differences."""

    names: str
    sql: tuple[str, ...]


Candidates = Mapping[str, Sequence[Damage]]


def postgres(of: catalog.Catalog) -> Candidates:
    """All that may be done to this schema, by kind of damage; the server may refuse some of it."""
    kinds: dict[str, list[Damage]] = {}
    for kind, names, *sql in _postgres(of):
        kinds.setdefault(kind, []).append(Damage(names, tuple(sql)))
    return kinds


def _postgres(of: catalog.Catalog) -> Iterator[tuple[str, ...]]:
    yield "extra table", "ghost", "CREATE TABLE ghost (id integer PRIMARY KEY, name text)"
    yield "extra view", "ghost", "CREATE VIEW ghost AS SELECT 1 AS one"
    yield "extra function", "ghost", "CREATE FUNCTION ghost() RETURNS int LANGUAGE sql RETURN 1"
    yield "extra sequence", "ghost", "CREATE SEQUENCE ghost"
    yield "extra enum", "ghost", "CREATE TYPE ghost AS ENUM ('a')"
    yield "extra domain", "ghost", "CREATE DOMAIN ghost AS text CHECK (value <> '')"
    yield "extra schema", "ghost", "CREATE SCHEMA ghost", "CREATE TABLE ghost.one (id integer)"
    for each in of.objects:
        if each.kind in _OF_POSTGRES:
            yield from _OF_POSTGRES[each.kind](each)


def _table(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    name, alter = each.name, f"ALTER TABLE {each.name}"
    yield "drop table", name, f"DROP TABLE {name} CASCADE"
    yield "rename table", name, f"{alter} RENAME TO ghost"
    yield "extra column", "ghost", f"{alter} ADD COLUMN ghost text"
    yield "extra check", "ghost", f"{alter} ADD CONSTRAINT ghost CHECK (true)"
    yield "unlogged table", name, f"{alter} SET UNLOGGED"
    yield "table option", name, f"{alter} SET (autovacuum_enabled = false)"
    yield "table comment", name, f"COMMENT ON TABLE {name} IS 'it''s a ghost'"
    yield "row security off", name, f"{alter} DISABLE ROW LEVEL SECURITY"
    yield "row security on", name, f"{alter} ENABLE ROW LEVEL SECURITY"
    yield "extra policy", "ghost", f"CREATE POLICY ghost ON {name} USING (false)"
    yield "replica identity", name, f"{alter} REPLICA IDENTITY NOTHING"
    if "partition of" in each.properties:
        parent = each.properties["partition of"].partition(" ")[0]
        yield "detach", name, f"ALTER TABLE {parent} DETACH PARTITION {name}"


def _column(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    own, name = each.properties, f"{each.table}.{each.name}"
    alter = f"ALTER TABLE {each.table} ALTER COLUMN {each.name}"
    yield "drop column", name, f"ALTER TABLE {each.table} DROP COLUMN {each.name} CASCADE"
    rename = f"ALTER TABLE {each.table} RENAME COLUMN {each.name} TO ghost"
    yield "rename column", name, rename
    yield "column comment", name, f"COMMENT ON COLUMN {name} IS 'ghost'"
    yield "extra index", "ghost", f"CREATE INDEX ghost ON {each.table} ({each.name})"
    yield (
        "extra unique",
        "ghost",
        (f"ALTER TABLE {each.table} ADD CONSTRAINT ghost UNIQUE ({each.name})"),
    )
    if "not null" in own:
        yield "drop not null", name, f"{alter} DROP NOT NULL"
    else:
        yield "set not null", name, f"{alter} SET NOT NULL"
    if "default" in own:
        yield "drop default", name, f"{alter} DROP DEFAULT"
    if own["type"] in ("text", "integer", "bigint") and "generated" not in own:
        default = "'ghost'" if own["type"] == "text" else "41"
        yield "other default", name, f"{alter} SET DEFAULT {default}"
    for found, other in (
        ("text", "character varying(77)"),
        ("character varying", "text"),
        ("integer", "bigint"),
        ("bigint", "integer"),
        ("numeric", "double precision"),
        ("timestamp with", "timestamp without time zone"),
        ("timestamp without", "timestamp with time zone"),
        ("jsonb", "text"),
        ("uuid", "text"),
        ("boolean", "text"),
    ):
        if own["type"].startswith(found):
            yield "other type", name, f"{alter} DROP DEFAULT", f"{alter} TYPE {other}"
            break
    if own["type"] == "text":
        yield "other collation", name, f'{alter} TYPE text COLLATE "POSIX"'
    if "identity" in own:
        yield "drop identity", name, f"{alter} DROP IDENTITY"
        other = "BY DEFAULT" if own["identity"].startswith("always") else "ALWAYS"
        yield "other identity", name, f"{alter} SET GENERATED {other}"
    if "generated" in own:
        yield "drop generated", name, f"{alter} DROP EXPRESSION"


def _constraint(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    name, alter = each.name, f"ALTER TABLE {each.table}"
    drop = f"{alter} DROP CONSTRAINT {name} CASCADE"
    add = f"{alter} ADD CONSTRAINT {name}"
    kind = each.definition.split(" ")[0].lower()
    yield f"drop {kind}", name, drop
    yield "rename constraint", name, f"{alter} RENAME CONSTRAINT {name} TO ghost"
    yield "constraint comment", name, f"COMMENT ON CONSTRAINT {name} ON {each.table} IS 'ghost'"
    if kind == "check":
        yield "other check", name, drop, f"{add} CHECK (true)"
        yield "check not valid", name, drop, f"{add} CHECK (true) NOT VALID"
    if kind == "foreign":
        plain = re.sub(r" (?:ON|MATCH|DEFERRABLE).*", "", each.definition)
        yield "other action", name, drop, f"{add} {plain} ON DELETE SET DEFAULT"
        yield "other match", name, drop, f"{add} {plain} MATCH FULL"
        yield "deferrable", name, f"{alter} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED"
    if kind in ("unique", "primary"):
        # Other columns would not be referred to; deferrable neither.
        yield "deferrable key", name, drop, f"{add} {each.definition} DEFERRABLE"


def _index(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    schema = each.table.rpartition(".")[0]
    name = f"{schema}.{each.name}" if schema else each.name
    yield "drop index", each.name, f"DROP INDEX {name}"
    yield "rename index", each.name, f"ALTER INDEX {name} RENAME TO ghost"
    text = each.definition
    for old, new in (
        ("CREATE UNIQUE", "CREATE"),
        (" DESC", " "),
        (" INCLUDE (weight)", ""),
        (" WHERE ", " WHERE true OR "),
        (" btree (", " hash ("),
    ):
        if old in text:
            yield (
                f"index without {old.strip()}",
                each.name,
                f"DROP INDEX {name}",
                text.replace(old, new, 1),
            )
    if " WHERE " not in text:
        yield "index with where", each.name, f"DROP INDEX {name}", f"{text} WHERE false"


def _view(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    word = "MATERIALIZED VIEW" if each.properties.get("kind") else "VIEW"
    yield f"drop {word.lower()}", each.name, f"DROP {word} {each.name} CASCADE"
    body = f"SELECT * FROM ({each.definition}) w WHERE false"
    if word == "VIEW":
        yield "other view", each.name, f"CREATE OR REPLACE VIEW {each.name} AS {body}"
        yield "view option", each.name, f"ALTER VIEW {each.name} SET (security_barrier = false)"
        grown = f"SELECT *, 1 AS ghost FROM ({each.definition}) w"
        yield "wider view", each.name, f"CREATE OR REPLACE VIEW {each.name} AS {grown}"
        yield "view comment", each.name, f"COMMENT ON VIEW {each.name} IS 'ghost'"


def _function(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    word = each.properties.get("kind", "function").upper()
    yield f"drop {word.lower()}", each.name, f"DROP {word} {each.name} CASCADE"
    text = each.definition
    if "BEGIN\n" in text and "ATOMIC" not in text:
        yield "other function body", each.name, text.replace("BEGIN\n", "BEGIN\nPERFORM 1;\n", 1)
        yield "white space in function", each.name, text.replace("BEGIN\n", "BEGIN \n", 1)
    if word == "FUNCTION":
        yield "volatile", each.name, f"ALTER FUNCTION {each.name} COST 7"
        yield "security definer", each.name, f"ALTER FUNCTION {each.name} SECURITY DEFINER"
    yield "function comment", each.name, f"COMMENT ON {word} {each.name} IS 'ghost'"


def _trigger(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    drop = f"DROP TRIGGER {each.name} ON {each.table}"
    yield "drop trigger", each.name, drop
    yield "disable trigger", each.name, f"ALTER TABLE {each.table} DISABLE TRIGGER {each.name}"
    yield "trigger always", each.name, f"ALTER TABLE {each.table} ENABLE ALWAYS TRIGGER {each.name}"
    yield "other trigger", each.name, drop, each.definition.replace(" UPDATE ", " INSERT ", 1)
    rename = f"ALTER TRIGGER {each.name} ON {each.table} RENAME TO ghost"
    yield "rename trigger", each.name, rename


def _policy(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    yield "drop policy", each.name, f"DROP POLICY {each.name} ON {each.table}"
    yield "other policy", each.name, f"ALTER POLICY {each.name} ON {each.table} USING (1 > 2)"


def _sequence(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    yield "drop sequence", each.name, f"DROP SEQUENCE {each.name} CASCADE"
    yield "other sequence", each.name, f"ALTER SEQUENCE {each.name} INCREMENT BY 3 CACHE 2"
    yield "sequence owner", each.name, f"ALTER SEQUENCE {each.name} OWNED BY NONE"
    yield "rename sequence", each.name, f"ALTER SEQUENCE {each.name} RENAME TO ghost"


def _enum(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    first = each.properties["values"].split("\n")[0]
    yield "enum value", each.name, f"ALTER TYPE {each.name} ADD VALUE 'ghost' AFTER {first}"
    yield "rename enum value", each.name, f"ALTER TYPE {each.name} RENAME VALUE {first} TO 'ghost'"
    yield "drop enum", each.name, f"DROP TYPE {each.name} CASCADE"


def _domain(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    yield "domain not null", each.name, f"ALTER DOMAIN {each.name} DROP NOT NULL"
    yield "domain default", each.name, f"ALTER DOMAIN {each.name} SET DEFAULT 'ghost'"
    for line in each.properties.get("checks", "").split("\n"):
        name = line.partition(" ")[0]
        if name:
            yield "domain check", each.name, f"ALTER DOMAIN {each.name} DROP CONSTRAINT {name}"


def _composite(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    yield "extra attribute", each.name, f"ALTER TYPE {each.name} ADD ATTRIBUTE ghost text"


def _other(each: catalog.Object) -> Iterator[tuple[str, ...]]:
    if each.kind == "rule":
        yield "drop rule", each.name, f"DROP RULE {each.name} ON {each.table}"
    elif each.kind == "statistics":
        yield "drop statistics", each.name, f"DROP STATISTICS {each.name}"
    elif each.kind == "aggregate":
        yield "drop aggregate", each.name, f"DROP AGGREGATE {each.name} CASCADE"
    elif each.kind == "schema":
        yield "drop schema", each.name, f"DROP SCHEMA {each.name} CASCADE"


_OF_POSTGRES: Mapping[str, Callable[[catalog.Object], Iterator[tuple[str, ...]]]] = {
    "table": _table,
    "column": _column,
    "constraint": _constraint,
    "index": _index,
    "view": _view,
    "function": _function,
    "trigger": _trigger,
    "policy": _policy,
    "sequence": _sequence,
    "enum": _enum,
    "domain": _domain,
    "composite": _composite,
    "rule": _other,
    "statistics": _other,
    "aggregate": _other,
    "schema": _other,
}


# -- SQLite ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remake:
    """A table is made anew with another text, as a careless program does it."""

    names: str
    table: str
    old: str
    new: str


SqliteDamage = Damage | Remake


def sqlite(connection: sqlite3.Connection) -> Mapping[str, Sequence[SqliteDamage]]:
    """All that may be done to this schema, by kind of damage; SQLite may refuse some of it."""
    kinds: dict[str, list[SqliteDamage]] = {}
    rows = connection.execute(
        "select type, name, sql from sqlite_schema where sql is not null"
        " and name not like 'sqlite!_%' escape '!' and name not like 'alembic%'"
        " and name not like 'found%' order by name"
    ).fetchall()
    for kind, one in (
        ("extra table", Damage("ghost", ("CREATE TABLE ghost (id INTEGER PRIMARY KEY)",))),
        ("extra view", Damage("ghost", ("CREATE VIEW ghost AS SELECT 1 AS one",))),
    ):
        kinds.setdefault(kind, []).append(one)
    for what, name, sql in rows:
        for kind, damage in _sqlite(what, name, sql):
            kinds.setdefault(kind, []).append(damage)
    return kinds


def _sqlite(what: str, name: str, sql: str) -> Iterator[tuple[str, SqliteDamage]]:
    quoted = '"' + name.replace('"', '""') + '"'
    shown = sqlite_words.name(name)
    yield f"drop {what}", Damage(shown, (f"DROP {what.upper()} {quoted}",))
    if what == "table":
        yield "rename table", Damage(shown, (f"ALTER TABLE {quoted} RENAME TO ghost",))
        yield "extra column", Damage("ghost", (f"ALTER TABLE {quoted} ADD COLUMN ghost TEXT",))
        for kind, old, new in _texts(sql):
            yield kind, Remake(shown, name, old, new)
        for column in re.findall(r"[(,]\s+(\w+) (?:TEXT|VARCHAR|INTEGER|BIGINT|NUMERIC)", sql):
            rename = f"ALTER TABLE {quoted} RENAME COLUMN {column} TO ghost"
            yield "rename column", Damage(shown, (rename,))
            yield "drop column", Damage(shown, (f"ALTER TABLE {quoted} DROP COLUMN {column}",))
            yield "extra index", Damage("ghost", (f"CREATE INDEX ghost ON {quoted} ({column})",))
        yield (
            "extra trigger",
            Damage(
                "ghost", (f"CREATE TRIGGER ghost AFTER DELETE ON {quoted} BEGIN SELECT 1; END",)
            ),
        )
    elif what == "index":
        drop = f"DROP INDEX {quoted}"
        for kind, old, new in (
            ("index not unique", "CREATE UNIQUE", "CREATE"),
            ("index unique", "CREATE INDEX", "CREATE UNIQUE INDEX"),
            ("index ascending", " DESC", ""),
            ("index on all", " WHERE ", " WHERE 1 OR "),
        ):
            if old in sql:
                yield kind, Damage(shown, (drop, sql.replace(old, new, 1)))
        if " WHERE " not in sql:
            yield "index on some", Damage(shown, (drop, f"{sql} WHERE 0"))
    elif what == "view":
        again = re.sub(r"(?i)\bselect\b", "SELECT DISTINCT", sql, count=1)
        yield "other view", Damage(shown, (f"DROP VIEW {quoted}", again))
    elif what == "trigger":
        drop = f"DROP TRIGGER {quoted}"
        if " AFTER " in sql:
            yield "other trigger", Damage(shown, (drop, sql.replace(" AFTER ", " BEFORE ", 1)))
        yield "longer trigger", Damage(shown, (drop, sql.replace("BEGIN", "BEGIN SELECT 1;", 1)))


def _texts(sql: str) -> Iterator[tuple[str, str, str]]:
    """Kind of damage, a piece of a table's text, and what becomes of it."""
    for kind, pattern, replacement in (
        ("drop not null", r"(?<!id INTEGER) NOT NULL", ""),
        ("drop default", r" DEFAULT (?:'[^']*'|\d+)(?!\w)", ""),
        ("other default", r"DEFAULT (?:'[^']*'|\d+)(?!\w)", "DEFAULT 'ghost'"),
        ("other type", r"VARCHAR\(\d+\)", "BLOB"),
        ("other type", r"\bTEXT\b", "INTEGER"),
        ("other type", r"\bINTEGER\b(?! PRIMARY)", "TEXT"),
        ("other length", r"VARCHAR\(\d+\)", "VARCHAR(7)"),
        ("drop action", r" ON DELETE (?:SET NULL|CASCADE)", ""),
        ("other action", r"ON DELETE (?:SET NULL|CASCADE)", "ON DELETE RESTRICT"),
        ("drop foreign key", r",\s+CONSTRAINT \w+ FOREIGN KEY[^,]*(?=,|\s\))", ""),
        ("drop check", r",\s+CONSTRAINT \w+ CHECK \([^()]*(?:\([^()]*\)[^()]*)*\)", ""),
        ("other check", r"CHECK \(", "CHECK (1 OR "),
        ("drop unique", r",\s+CONSTRAINT \w+ UNIQUE \([^()]*\)", ""),
        ("drop primary key", r",\s+CONSTRAINT \w+ PRIMARY KEY \([^()]*\)", ""),
        ("rename constraint", r"CONSTRAINT \w+", "CONSTRAINT ghost"),
        ("extra check", r",\s+CONSTRAINT", ", CONSTRAINT ghost CHECK (1), CONSTRAINT"),
        ("collation", r"\bTEXT\b(?! COLLATE)", "TEXT COLLATE NOCASE"),
        ("drop counting", r" AUTOINCREMENT", ""),
        ("drop strict", r" STRICT", ""),
        ("drop without rowid", r" WITHOUT ROWID", ""),
        ("generated otherwise", r"upper\(", "lower("),
    ):
        for match in re.finditer(pattern, sql):
            new = sql[: match.start()] + replacement + sql[match.end() :]
            if new != sql:
                yield kind, sql, new


def do(connection: sqlite3.Connection, damage: SqliteDamage) -> None:
    """Damage a SQLite database; raises sqlite3.Error where it is refused."""
    if isinstance(damage, Damage):
        for statement in damage.sql:
            connection.execute(statement)
        return
    parts = connection.execute(
        "select sql from sqlite_schema where tbl_name = ? and type <> 'table'"
        " and sql is not null order by rowid",
        (damage.table,),
    ).fetchall()
    quoted = '"' + damage.table.replace('"', '""') + '"'
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA legacy_alter_table = ON")
    connection.execute(f"ALTER TABLE {quoted} RENAME TO old_ghost")
    connection.execute(damage.new)
    connection.execute("DROP TABLE old_ghost")
    for (sql,) in parts:
        connection.execute(sql)
    connection.execute("PRAGMA legacy_alter_table = OFF")
