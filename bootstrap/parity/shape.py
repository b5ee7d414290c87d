"""What is in a database, in words that are the same for both dialects where they can be."""

import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa

from bootstrap import engine, target

Kind = Literal[
    "table",
    "column",
    "type",
    "default",
    "primary key",
    "foreign key",
    "unique",
    "check",
    "index",
    "view",
    "trigger",
    "function",
    "policy",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PLURALS = {"index": "indexes", "policy": "policies", "unique": "unique constraints"}

# By kind and name, which is `table.name` for what belongs to a table.
Objects = Mapping[tuple[Kind, str], str]


@dataclass(frozen=True)
class Shape:
    """All objects of a database, and what server it is on."""

    server: str
    objects: Objects


def plural(kind: str, count: int) -> str:
    """The kind as a word for `count` of them."""
    return kind if count == 1 else _PLURALS.get(kind, f"{kind}s")


def read(where: target.Target) -> Shape:
    """Read the default schema of a database."""
    made = engine.make(where, engine.Options())
    try:
        with made.connect() as connection, warnings.catch_warnings():
            # Of indexes that SQLAlchemy does not read; here they are read without it.
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            postgres = connection.dialect.name == "postgresql"
            version = connection.scalar(
                sa.text("SHOW server_version" if postgres else "SELECT sqlite_version()")
            )
            found = dict(_objects(connection))
            found.update(_of_postgresql(connection) if postgres else _of_sqlite(connection))
    finally:
        made.dispose()
    name = "PostgreSQL" if postgres else "SQLite"
    return Shape(f"{name} {str(version).split()[0]}", found)


def _objects(connection: sa.Connection) -> Iterator[tuple[tuple[Kind, str], str]]:
    inspector = sa.inspect(connection)
    for view in inspector.get_view_names():
        names = _listed(column["name"] for column in inspector.get_columns(view))
        yield ("view", view), f"of {names}"
    for table in inspector.get_table_names():
        yield ("table", table), "a table"
        key = inspector.get_pk_constraint(table)
        if key["constrained_columns"]:
            name = key["name"] or "unnamed"
            yield ("primary key", table), f"{name} of {_listed(key['constrained_columns'])}"
        columns = inspector.get_columns(table)
        for place, column in enumerate(columns, 1):
            name = f"{table}.{column['name']}"
            yield ("column", name), f"number {place}, {'' if column['nullable'] else 'not '}null"
            yield ("type", name), _type(column["type"])
            default = _default(connection, column, key["constrained_columns"])
            if default:
                yield ("default", name), default
        truths = {each["name"] for each in columns if isinstance(each["type"], sa.Boolean)}
        for foreign in inspector.get_foreign_keys(table):
            yield ("foreign key", f"{table}.{foreign['name']}"), _reference(foreign)
        for unique in inspector.get_unique_constraints(table):
            yield ("unique", f"{table}.{unique['name']}"), f"of {_listed(unique['column_names'])}"
        for check in inspector.get_check_constraints(table):
            yield ("check", f"{table}.{check['name']}"), _condition(check["sqltext"], truths)
        indexes = _indexes_of_postgresql if inspector.dialect.name == "postgresql" else _indexes
        for index, text in indexes(connection, inspector, table, truths):
            yield ("index", f"{table}.{index}"), text


def _type(kind: sa.types.TypeEngine[Any]) -> str:
    if isinstance(kind, sa.Enum):
        return f"enum of {_listed(kind.enums)}"
    return str(kind).lower()


def _default(connection: sa.Connection, column: Any, key: list[str]) -> str:
    """What the database fills in; empty where that is NULL."""
    if column.get("identity"):
        return "identity"
    whole, sqlite = isinstance(column["type"], sa.Integer), connection.dialect.name == "sqlite"
    if sqlite and key == [column["name"]] and str(column["type"]) == "INTEGER":
        return "row number"
    if column["default"] is None:
        return ""
    text = _plain(column["default"])
    if whole or isinstance(column["type"], sa.Numeric):
        return text.strip("'")
    if isinstance(column["type"], sa.Boolean):
        return {"true": "1", "false": "0"}.get(text, text)
    return text


def _reference(foreign: Any) -> str:
    options = "".join(f" {name} {value}" for name, value in sorted(foreign["options"].items()))
    return (
        f"{_listed(foreign['constrained_columns'])} to {foreign['referred_table']} "
        f"({_listed(foreign['referred_columns'])}){options.lower()}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


_Named = Iterator[tuple[str, str]]


def _indexes_of_postgresql(
    _: sa.Connection, inspector: sa.Inspector, table: str, truths: Collection[str]
) -> _Named:
    for index in inspector.get_indexes(table):
        if "duplicates_constraint" in index:
            continue
        sorting: Mapping[str, Any] = index.get("column_sorting", {})
        columns = [
            _condition(name, truths) + (" desc" if "desc" in sorting.get(name, ()) else "")
            for name in index.get("expressions") or index["column_names"]
            if name is not None
        ]
        options = index.get("dialect_options", {})
        method = options.get("postgresql_using", "btree")
        text = _index(bool(index["unique"]), columns, options.get("postgresql_where"), truths)
        yield str(index["name"]), text + ("" if method == "btree" else f" using {method}")


_INDEX = re.compile(r"CREATE\s+(UNIQUE\s+)?INDEX\s.*?\sON\s[^(]*", re.IGNORECASE | re.DOTALL)


def _indexes(
    connection: sa.Connection, _: sa.Inspector, table: str, truths: Collection[str]
) -> _Named:
    """Of SQLite, as they were written: SQLAlchemy leaves out those of expressions."""
    query = sa.text(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name = :table"
    )
    for name, text in connection.execute(query, {"table": table}):
        match = _INDEX.match(text)
        if match is None:
            continue
        columns, rest = _bracketed(text[match.end() :])
        where = re.sub(r"^\s*WHERE\s", "", rest, flags=re.IGNORECASE)
        yield (
            name,
            _index(bool(match[1]), [_condition(each, truths) for each in columns], where, truths),
        )


def _index(unique: bool, columns: Iterable[str], where: str | None, truths: Collection[str]) -> str:
    ending = f" where {_condition(where, truths)}" if where else ""
    return f"{'unique ' if unique else ''}of {_listed(columns)}{ending}"


def _bracketed(text: str) -> tuple[list[str], str]:
    """What stands between the first bracket and its partner, split at commas; and the rest."""
    parts, depth = [""], 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return parts, text[place + 1 :]
        if letter == "," and depth == 1:
            parts.append("")
        elif (letter, depth) != ("(", 1):
            parts[-1] += letter
    return parts, ""


def _of_postgresql(connection: sa.Connection) -> Iterator[tuple[tuple[Kind, str], str]]:
    # tgtype: 2 before, 64 instead of, else after; 4 insert, 8 delete, 16 update.
    triggers = """
        SELECT tgrelid::regclass::text || '.' || tgname,
            CASE WHEN tgtype & 2 > 0 THEN 'before' WHEN tgtype & 64 > 0 THEN 'instead of'
                ELSE 'after' END || concat(
                CASE WHEN tgtype & 4 > 0 THEN ' insert' END,
                CASE WHEN tgtype & 8 > 0 THEN ' delete' END,
                CASE WHEN tgtype & 16 > 0 THEN ' update' END)
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
        WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace"""
    functions = """
        SELECT proname, 'returns ' || pg_catalog.pg_get_function_result(p.oid)
        FROM pg_catalog.pg_proc p WHERE pronamespace = current_schema()::regnamespace
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.objid = p.oid AND d.deptype = 'e')"""
    policies = """
        SELECT tablename || '.' || policyname, lower(cmd) FROM pg_catalog.pg_policies
        WHERE schemaname = current_schema()"""
    queries: dict[Kind, str] = {"trigger": triggers, "function": functions, "policy": policies}
    for kind, query in queries.items():
        for name, text in connection.execute(sa.text(query)):
            yield (kind, name), text


_TRIGGER = re.compile(
    r"\s*(?:\S*\s)??\s*(BEFORE\s|AFTER\s|INSTEAD\s+OF\s|)\s*(INSERT|DELETE|UPDATE)\b", re.IGNORECASE
)


def _of_sqlite(connection: sa.Connection) -> Iterator[tuple[tuple[Kind, str], str]]:
    query = sa.text("SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'trigger'")
    for table, name, text in connection.execute(query):
        match = _TRIGGER.match(text.partition(name)[2])
        when, what = match.groups() if match else ("", "")
        words = f"{when or 'before'} {what}".lower().split()
        yield ("trigger", f"{table}.{name}"), " ".join(words)


# -- expressions -----------------------------------------------------------------------------------

_LITERAL = re.compile(r"('(?:[^']|'')*')")
_CAST = re.compile(
    r"::(?:character varying|double precision|timestamp with(?:out)? time zone|\"?\w+\"?)"
    r"(?:\(\d+(?:, ?\d+)?\))?(?:\[\])?"
)


def _plain(text: str) -> str:
    """An expression without casts, identifiers unquoted, in small letters but for literals."""
    # Every second part is a literal.
    parts = enumerate(_LITERAL.split(text))
    words = (
        part if place % 2 else _CAST.sub("", part).replace('"', "").lower() for place, part in parts
    )
    return re.sub(r"\s+", " ", "".join(words)).strip()


def _condition(text: str, truths: Collection[str]) -> str:
    """An expression without what the dialects write in two ways: brackets, IN, truth.

    What the brackets group is not compared: PostgreSQL sets its own.
    """
    found = []
    for place, part in enumerate(_LITERAL.split(_plain(text))):
        if not place % 2:
            part = re.sub(r"[()\[\]]", " ", part)
            part = re.sub(r"<> all\s+array\b", "not in", part)
            part = re.sub(r"= any\s+array\b", "in", part)
            for name in truths:
                part = re.sub(rf"\b{name} = (1|true)\b", name, part)
                part = re.sub(rf"\b{name} = (0|false)\b", f"not {name}", part)
        found.append(part)
    return re.sub(r"\s+", " ", " ".join(found)).replace(" ,", ",").strip()
