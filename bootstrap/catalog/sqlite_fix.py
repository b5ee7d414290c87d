"""The SQL that makes a found SQLite schema the wanted one.

SQLite can add a column, and drop one; for anything else a table is made anew and its rows are
copied: https://www.sqlite.org/lang_altertable.html#otheralter
All differences of one table share the statements that make it anew. Foreign keys are off from then
on in that session, as they are from the start unless it has switched them on: dropping a table
would otherwise delete the rows that refer to it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from bootstrap.catalog import comparison, words
from bootstrap.catalog.comparison import Change
from bootstrap.catalog.model import Catalog, Finding, Object

_LITERAL = re.compile(
    r"(?:-?[0-9.]+(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+|[xX]?'(?:[^']|'')*'|NULL|TRUE|FALSE)\Z"
)
_MOMENT = re.compile(r"CURRENT_(?:TIMESTAMP|DATE|TIME)\Z")
_NEW = "_bootstrapd_new"
_KEYS_OFF = "PRAGMA foreign_keys = OFF"


def differences(changes: Sequence[Change], wanted: Catalog, found: Catalog) -> tuple[Finding, ...]:
    """The changes with their fixes, in the order in which these can be applied."""
    ours, theirs = _Tables(wanted), _Tables(found)
    rebuilt: dict[str, list[Change]] = {}
    for change in changes:
        if _changes_table(change):
            rebuilt.setdefault(_table_of(change), []).append(change)
    fixes: dict[str, tuple[tuple[str, ...], str]] = {}
    for table, group in rebuilt.items():
        fixes[table] = _fix_table(table, group, ours, theirs)
    ordered = sorted(changes, key=_rank)
    made = []
    for change in ordered:
        title, one, other = comparison.describe(change)
        if _changes_table(change):
            fix, note = fixes[_table_of(change)]
            lossy = bool(fix) and any(_loses_data(each) for each in rebuilt[_table_of(change)])
        else:
            fix, note, lossy = _fix(change, ours, theirs)
        made.append(
            Finding(
                kind=change.kind,
                object=title,
                wanted=one,
                found=other,
                fix=fix,
                destructive=lossy,
                note=note,
            )
        )
    return tuple(made)


class _Tables:
    """The objects of a catalog by their table."""

    def __init__(self, of: Catalog) -> None:
        self._of: dict[str, list[Object]] = {}
        self.tables: Mapping[str, Object] = {
            each.name: each for each in of.objects if each.kind == "table"
        }
        for each in of.objects:
            if each.table:
                self._of.setdefault(each.table, []).append(each)

    def of(self, table: str, *kinds: str) -> list[Object]:
        found = [each for each in self._of.get(table, ()) if each.kind in kinds]
        return sorted(found, key=lambda each: each.position)


def _changes_table(change: Change) -> bool:
    """Whether it is within CREATE TABLE, and not a whole table or a column too many."""
    each = change.object
    if each.kind == "table":
        return not change.is_missing and not change.is_extra
    return each.kind == "constraint" or (each.kind == "column" and not change.is_extra)


def _table_of(change: Change) -> str:
    return change.object.table or change.object.name


def _rank(change: Change) -> tuple[int, str, str]:
    kind = change.object.kind
    if _changes_table(change):
        place = 2
    elif change.is_extra:
        place = {"view": 0, "trigger": 3, "index": 4, "column": 8, "table": 9}[kind]
    else:
        place = {"table": 1, "index": 5, "view": 6, "trigger": 7}[kind]
    return place, change.object.table, change.object.name


def _fix(change: Change, ours: _Tables, theirs: _Tables) -> tuple[tuple[str, ...], str, bool]:
    """The fix of an object that is not within a table, its note, and whether data are lost."""
    each = change.object
    if change.is_extra:
        if each.kind == "column":
            return (f"ALTER TABLE {each.table} DROP COLUMN {each.name}",), "", True
        drop = f"DROP {each.kind.upper()} {each.name}"
        return ((_KEYS_OFF, drop) if each.kind == "table" else (drop,)), "", each.kind == "table"
    if each.kind == "table":
        made = [create(each, ours), *_with_table(each.name, ours)]
        return tuple(made), "", False
    assert change.wanted is not None
    fix = [change.wanted.definition]
    if not change.is_missing:
        fix.insert(0, f"DROP {each.kind.upper()} {each.name}")
    if each.kind == "view":
        # Those that are different are changes of their own.
        kept = ours if change.is_missing else theirs
        fix += [part.definition for part in kept.of(each.name, "trigger")]
    return tuple(fix), "", False


def create(table: Object, tables: _Tables, name: str = "", also: Sequence[Object] = ()) -> str:
    """CREATE TABLE, under another name if one is given and with further columns."""
    own = table.properties
    if "definition" in own:
        return own["definition"]
    constraints = tables.of(table.name, "constraint")
    counting = {
        each.definition.partition("(")[2].partition(" AUTOINCREMENT")[0]: each
        for each in constraints
        if " AUTOINCREMENT)" in each.definition
    }
    lines = []
    for column in [*tables.of(table.name, "column"), *also]:
        line = _column(column)
        if column.name in counting:
            key = counting[column.name]
            label = "" if key.name == key.definition else f" CONSTRAINT {key.name}"
            line += f"{label} PRIMARY KEY AUTOINCREMENT"
        lines.append(line)
    for each in constraints:
        if each not in counting.values():
            label = "" if each.name == each.definition else f"CONSTRAINT {each.name} "
            lines.append(label + each.definition)
    options = [word for key, word in _OPTIONS.items() if key in own]
    body = ",".join(f"\n    {line}" for line in lines)
    return f"CREATE TABLE {name or table.name} ({body}\n) {', '.join(options)}".rstrip()


_OPTIONS = {"without rowid": "WITHOUT ROWID", "strict": "STRICT"}


def _column(each: Object) -> str:
    own = each.properties
    text = f"{each.name} {own.get('type', '')}".rstrip()
    if "collation" in own:
        text += f" COLLATE {own['collation']}"
    if "generated" in own:
        expression, _, kept = own["generated"].rpartition(" ")
        text += f" GENERATED ALWAYS AS {expression} {kept.upper()}"
    if "default" in own:
        default = own["default"]
        plain = _LITERAL.match(default) or _MOMENT.match(default)
        text += f" DEFAULT {default}" if plain else f" DEFAULT ({default})"
    if "not null" in own:
        text += " NOT NULL" + (f" {own['not null']}" if own["not null"] != "yes" else "")
    return text


def _with_table(table: str, tables: _Tables) -> Iterator[str]:
    for part in tables.of(table, "index", "trigger"):
        yield part.definition


def _fix_table(
    table: str, group: Sequence[Change], ours: _Tables, theirs: _Tables
) -> tuple[tuple[str, ...], str]:
    if "definition" in ours.tables[table].properties:
        return (), "a virtual table cannot be changed; make it anew and copy its rows"
    if all(_can_be_added(change) for change in group):
        return tuple(
            f"ALTER TABLE {table} ADD COLUMN {_column(change.object)}" for change in group
        ), ""
    note = ", ".join(
        f"column {change.object.name} has no default"
        for change in group
        if change.kind == "missing-column" and _must_be_given(change.object)
    )
    fails = f"fails if the table has rows: {note}" if note else ""
    return tuple(_made_anew(table, ours, theirs)), fails


def _must_be_given(column: Object) -> bool:
    own = column.properties
    return "not null" in own and not own.keys() & {"default", "generated"}


def _can_be_added(change: Change) -> bool:
    own = change.object.properties
    default = own.get("default")
    if not change.is_missing or change.object.kind != "column":
        return False
    if "generated" in own:
        return own["generated"].endswith(" virtual")
    if default is not None and not _LITERAL.match(default):
        return False
    return "not null" not in own or default not in (None, "NULL")


def _made_anew(table: str, ours: _Tables, theirs: _Tables) -> Iterator[str]:
    wanted, found = ours.of(table, "column"), theirs.of(table, "column")
    known = {column.name for column in wanted}
    extra = [column for column in found if column.name not in known]
    stored = [
        column.name
        for column in [*wanted, *extra]
        if "generated" not in column.properties
        and any(column.name == there.name for there in found)
    ]
    new = f"{_NEW}_{table}" if not table.startswith('"') else f'"{_NEW}_{table[1:]}'
    plain = new.strip('"').replace('""', '"')
    yield _KEYS_OFF
    # Else the new name would be looked for in every view, and a view of no use would be an error.
    yield "PRAGMA legacy_alter_table = ON"
    yield "BEGIN IMMEDIATE"
    yield create(ours.tables[table], ours, new, extra)
    columns = ", ".join(stored)
    if stored:
        yield f"INSERT INTO {new} ({columns}) SELECT {columns} FROM {table}"
    if _counts(table, ours) and _counts(table, theirs):
        name = table.strip('"').replace('""', '"')
        yield f"DELETE FROM sqlite_sequence WHERE name = {words.literal(plain)}"
        yield (
            f"INSERT INTO sqlite_sequence (name, seq) SELECT {words.literal(plain)}, seq"
            f" FROM sqlite_sequence WHERE name = {words.literal(name)}"
        )
    yield f"DROP TABLE {table}"
    yield f"ALTER TABLE {new} RENAME TO {table}"
    yield from _with_table(table, theirs)
    yield "COMMIT"
    yield "PRAGMA legacy_alter_table = OFF"


def _counts(table: str, tables: _Tables) -> bool:
    return any(" AUTOINCREMENT)" in key.definition for key in tables.of(table, "constraint"))


def _loses_data(change: Change) -> bool:
    if change.kind == "type" and change.wanted is not None and change.found is not None:
        before, after = (
            _affinity(each.properties.get("type", "")) for each in (change.found, change.wanted)
        )
        return before != after and after not in ("TEXT", "BLOB")
    return (
        "generated" in change.keys
        and change.found is not None
        and "generated" not in change.found.properties
    )


def _affinity(kind: str) -> str:
    """https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
    for parts, affinity in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(part in kind for part in parts):
            return affinity
    return "NUMERIC" if kind else "BLOB"
