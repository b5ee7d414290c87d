"""The SQL that changes what is there in a PostgreSQL schema, and keeps what hangs on it."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from bootstrap.catalog import postgres_casts, postgres_make, words
from bootstrap.catalog.comparison import Change
from bootstrap.catalog.model import Object
from bootstrap.catalog.postgres_make import Parts

Fix = tuple[Sequence[str], str]

# What does not let a column change its type.
_HANGING = ("trigger", "policy", "rule")


def loses_data(change: Change) -> bool:
    """Whether values are lost where an object is changed."""
    assert change.wanted is not None
    assert change.found is not None
    if change.kind == "type" and change.object.kind == "column" and "type" in change.keys:
        return postgres_casts.loses_data(
            change.found.properties["type"], change.wanted.properties["type"]
        )
    if "generated" in change.keys:
        return "generated" not in change.found.properties
    return change.object.kind == "composite"


def refers_to(key: Object, table: str, columns: str | None = None) -> bool:
    """Whether a foreign key refers to this table, and to these columns if they are given."""
    wanted = f" REFERENCES {table}(" + ("" if columns is None else f"{columns})")
    return wanted in key.definition


def added(constraint: Object, parts: Parts) -> list[str]:
    """Add a constraint; one that must look at all rows does so without blocking their writers."""
    statements = list(postgres_make.simple(constraint))
    can_wait = constraint.definition.startswith(("CHECK", "FOREIGN KEY"))
    if (
        can_wait
        and "NO INHERIT" not in constraint.definition
        and not _is_partitioned(constraint.table, parts)
    ):
        statements[0] += " NOT VALID"
        validate = f"ALTER TABLE {constraint.table} VALIDATE CONSTRAINT {constraint.name}"
        statements.insert(1, validate)
    return statements


class Alter:
    """Fixes for objects that are there but different."""

    def __init__(self, wanted: Parts, found: Parts, major: int) -> None:
        self._wanted, self._found = wanted, found
        self._major = major

    def fix(self, change: Change) -> Fix:
        """The statements for one change, and what there is to be said of them."""
        one, other = change.wanted, change.found
        assert one is not None
        assert other is not None
        if change.kind == "comment":
            return list(postgres_make.comment(one, always=True)), ""
        how: dict[str, Callable[[Object, Object, tuple[str, ...]], Fix]] = {
            "table": self._table,
            "column": self._column,
            "constraint": self._constraint,
            "view": self._view,
            "function": self._function,
            "sequence": self._sequence,
            "enum": self._enum,
            "domain": self._domain,
            "composite": self._composite,
            "trigger": self._trigger,
            "index": self._index,
        }
        if one.kind in how:
            return how[one.kind](one, other, change.keys)
        return [postgres_make.drop(other), *postgres_make.simple(one)], ""

    # -- columns ----------------------------------------------------------------------------------

    def missing_column(self, each: Object) -> Fix:
        """Add a column with the sequence that it owned; its rows are gone."""
        owned = self._wanted.sequences(f"{each.table}.{each.name}")
        fix = [f"CREATE SEQUENCE {one.name} {one.definition}" for one in owned]
        fix.append(f"ALTER TABLE {each.table} ADD COLUMN {postgres_make.column(each)}")
        for one in owned:
            fix += self.own_and_set(one)
        fix += postgres_make.comment(each)
        own = each.properties
        fails = "not null" in own and not own.keys() & {"default", "identity", "generated"}
        return fix, "fails if the table has rows: fill the new column first" if fails else ""

    def own_and_set(self, sequence: Object) -> Iterator[str]:
        """Give a sequence to its column, and let it go on after the largest number there."""
        owner = sequence.properties.get("owned by")
        if owner is None:
            return
        yield f"ALTER SEQUENCE {sequence.name} OWNED BY {owner}"
        yield set_sequence(words.literal(sequence.name), *_halves(owner))

    def _column(self, one: Object, other: Object, keys: tuple[str, ...]) -> Fix:
        head = f"ALTER TABLE {one.table} ALTER COLUMN {one.name}"
        own, theirs = one.properties, other.properties
        if "type" in keys or "collation" in keys:
            return self._type(one, other, head), ""
        if "not null" in keys:
            return [f"{head} {'SET' if 'not null' in own else 'DROP'} NOT NULL"], ""
        fix: list[str] = []
        if "generated" in keys:
            return self._generated(one, other, head)
        if "identity" in keys and "identity" in theirs:
            fix.append(f"{head} DROP IDENTITY")
        if "default" in keys and "default" in theirs and "default" not in own:
            fix.append(f"{head} DROP DEFAULT")
        if "default" in own and "default" in keys:
            fix.append(f"{head} SET DEFAULT {own['default']}")
        if "identity" in keys and "identity" in own:
            if "not null" not in theirs:
                fix.append(f"{head} SET NOT NULL")
            fix.append(f"{head} ADD {postgres_make.identity(own['identity'])}")
            found = (
                f"pg_catalog.pg_get_serial_sequence({words.literal(one.table)}, "
                f"{words.literal(words.unquoted(one.name))})"
            )
            fix.append(set_sequence(found, one.table, one.name))
        return fix, ""

    def _type(self, one: Object, other: Object, head: str) -> list[str]:
        wanted, found = one.properties["type"], other.properties["type"]
        default = other.properties.get("default")
        using = postgres_casts.using(one.name, found, wanted)
        collation = one.properties.get("collation")
        clause = f" COLLATE {collation}" if collation else ""
        alter = [f"{head} TYPE {wanted}{clause}{using}"]
        if default is not None and found != wanted:
            # A default is cast as little as the rows are.
            again = one.properties.get("default", default)
            alter = [f"{head} DROP DEFAULT", *alter, f"{head} SET DEFAULT {again}"]
        return self._around_column(one, alter)

    def _generated(self, one: Object, other: Object, head: str) -> Fix:
        own, theirs = one.properties.get("generated"), other.properties.get("generated")
        if own is None:
            if theirs is not None and theirs.endswith(" virtual"):
                return (), "the values of a virtual column are nowhere; make the column by hand"
            fix = [f"{head} DROP EXPRESSION"]
            if "default" in one.properties:
                fix.append(f"{head} SET DEFAULT {one.properties['default']}")
            return fix, ""
        expression, _, kept = own.rpartition(" ")
        if theirs is not None and theirs.endswith(f" {kept}") and self._major >= 17:
            return [f"{head} SET EXPRESSION AS ({expression})"], ""
        again = [
            f"ALTER TABLE {one.table} DROP COLUMN {one.name}",
            f"ALTER TABLE {one.table} ADD COLUMN {postgres_make.column(one)}",
            *postgres_make.comment(one),
        ]
        parts = [
            part
            for part in self._found.of(one.table, "constraint", "index")
            if _mentions(part, one.name)
        ]
        keys = [part for part in parts if part.kind == "constraint"]
        for part in keys:
            again = self.without_key(part, [postgres_make.drop(part), *again])
        again += [line for part in parts for line in postgres_make.simple(part)]
        return self._around_column(one, again), ""

    def _around_column(self, column: Object, statements: Sequence[str]) -> list[str]:
        """Drop what does not let a column be changed, run the statements, make it again."""
        parts = [
            part for part in self._found.of(column.table, *_HANGING) if _mentions(part, column.name)
        ]
        middle = [
            *(postgres_make.drop(part) for part in parts),
            *statements,
            *(line for part in parts for line in postgres_make.simple(part)),
        ]
        return self.rebuilt_views([column.table], middle)

    # -- keys -------------------------------------------------------------------------------------

    def _constraint(self, one: Object, other: Object, _: tuple[str, ...]) -> Fix:
        again = [postgres_make.drop(other), *added(one, self._wanted)]
        return self.without_key(other, again), ""

    def without_key(self, key: Object, statements: Sequence[str]) -> list[str]:
        """Run the statements while no foreign key hangs on this key."""
        match = re.match(r"(?:PRIMARY KEY|UNIQUE)[^(]*\((?P<columns>[^)]*)\)", key.definition)
        if match is None:
            return list(statements)
        hanging = [
            each
            for each in self._found.objects
            if postgres_make.is_foreign_key(each) and refers_to(each, key.table, match["columns"])
        ]
        return [
            *(postgres_make.drop(each) for each in hanging),
            *statements,
            *(line for each in hanging for line in added(each, self._found)),
        ]

    # -- tables -----------------------------------------------------------------------------------

    def _table(self, one: Object, other: Object, keys: tuple[str, ...]) -> Fix:
        own, theirs = one.properties, other.properties
        head = f"ALTER TABLE {one.name}"
        fix: list[str] = []
        for key in keys:
            if key in ("kind", "partition by"):
                return (), f"a table's {key} cannot be changed; make it anew and copy its rows"
            if key == "persistence":
                fix.append(f"{head} SET {own.get(key, 'logged').upper()}")
            elif key == "partition of":
                if key in theirs:
                    parent = theirs[key].partition(" ")[0]
                    fix.append(f"ALTER TABLE {parent} DETACH PARTITION {one.name}")
                if key in own:
                    parent, _, bound = own[key].partition(" ")
                    fix.append(f"ALTER TABLE {parent} ATTACH PARTITION {one.name} {bound}")
            elif key == "inherits":
                before, after = (
                    set(each.get(key, "").split(", ")) - {""} for each in (theirs, own)
                )
                fix += [f"{head} NO INHERIT {parent}" for parent in sorted(before - after)]
                fix += [f"{head} INHERIT {parent}" for parent in sorted(after - before)]
            elif key == "row security":
                fix += postgres_make.row_security(one.name, theirs.get(key), own.get(key))
            elif key == "options":
                fix += _options(head, own.get(key), theirs.get(key))
            elif key == "replica identity":
                fix.append(postgres_make.replica_identity(one))
        return fix, ""

    def _index(self, one: Object, other: Object, _: tuple[str, ...]) -> Fix:
        return [self.drop_index(other), self.index(one), *postgres_make.comment(one)], ""

    def index(self, each: Object) -> str:
        """Make an index without blocking the table's writers, where that is possible."""
        text = each.definition
        if _is_partitioned(each.table, self._wanted):
            return text
        return text.replace("INDEX ", "INDEX CONCURRENTLY ", 1)

    def drop_index(self, each: Object) -> str:
        """Drop an index without blocking the table's users, where that is possible."""
        text = postgres_make.drop(each)
        if _is_partitioned(each.table, self._found):
            return text
        return text.replace("INDEX ", "INDEX CONCURRENTLY ", 1)

    # -- views, functions, triggers ---------------------------------------------------------------

    def _view(self, one: Object, other: Object, _: tuple[str, ...]) -> Fix:
        again = [postgres_make.drop(other), *postgres_make.view(one, self._wanted, other)]
        return self.rebuilt_views([one.name], again), ""

    def rebuilt_views(self, changed: Sequence[str], statements: Sequence[str]) -> list[str]:
        """Run the statements while no view hangs on what they change; `changed` are names."""
        hanging: list[Object] = []
        names = {words.unquoted(name.rpartition(".")[2]) for name in changed}
        views = [each for each in self._found.objects if each.kind == "view"]
        left = [each for each in views if each.name not in changed]
        while True:
            more = [each for each in left if words.names(each.definition) & names]
            if not more:
                break
            left = [each for each in left if each not in more]
            names |= {words.unquoted(each.name.rpartition(".")[2]) for each in more}
            hanging = _behind(hanging, more)
        return [
            *(postgres_make.drop(each) for each in reversed(hanging)),
            *statements,
            *(line for each in hanging for line in postgres_make.view(each, self._found, each)),
        ]

    def _function(self, one: Object, other: Object, keys: tuple[str, ...]) -> Fix:
        if not {"returns", "arguments", "kind"} & set(keys):
            return list(postgres_make.simple(one)), ""
        name = one.name.partition("(")[0].rpartition(".")[2]
        again = [postgres_make.drop(other), *postgres_make.simple(one)]
        parts = [
            each
            for each in self._found.objects
            if each.kind in ("trigger", "policy") and _mentions(each, name)
        ]
        middle = [
            *(postgres_make.drop(part) for part in parts),
            *again,
            *(line for part in parts for line in postgres_make.simple(part)),
        ]
        return self.rebuilt_views([name], middle), ""

    def _trigger(self, one: Object, other: Object, keys: tuple[str, ...]) -> Fix:
        if "definition" not in keys:
            return [postgres_make.enabled(one)], ""
        return [postgres_make.drop(other), *postgres_make.simple(one)], ""

    # -- sequences and types ----------------------------------------------------------------------

    def _sequence(self, one: Object, _: Object, keys: tuple[str, ...]) -> Fix:
        head = f"ALTER SEQUENCE {one.name}"
        fix: list[str] = []
        if "definition" in keys:
            fix.append(f"{head} {one.definition}")
        if "persistence" in keys:
            fix.append(f"{head} SET {one.properties.get('persistence', 'logged').upper()}")
        if "owned by" in keys:
            fix.append(f"{head} OWNED BY {one.properties.get('owned by', 'NONE')}")
        return fix, ""

    def _enum(self, one: Object, other: Object, _: tuple[str, ...]) -> Fix:
        wanted = one.properties["values"].split("\n")
        found = other.properties["values"].split("\n")
        if [value for value in wanted if value in found] == found:
            return list(_added_values(one.name, wanted, found)), ""
        plain = words.unquoted(one.name.rpartition(".")[2])
        for each in self._found.objects:
            own = each.properties
            signature = own.get("arguments", "") + " " + own.get("returns", "")
            if each.kind in ("function", "domain", "composite") and plain in words.names(
                f"{each.name} {signature} {own.get('type', '')} {own.get('attributes', '')}"
            ):
                return (), (
                    f"{each.kind} {each.name} is made of it; values cannot be taken from an enum "
                    "or change places, so make the type anew by hand"
                )
        return self._new_enum(one, plain), ""

    def _new_enum(self, one: Object, plain: str) -> list[str]:
        """Values cannot be taken from an enum: make another, and give it to the columns."""
        replaced = postgres_make.beside(one.name, words.quoted(f"{plain}_replaced"))
        columns = [
            each
            for each in self._found.objects
            if each.kind == "column" and each.properties["type"].removesuffix("[]") == one.name
        ]
        tables = sorted({each.table for each in columns})
        parts = [
            part
            for table in tables
            for part in self._found.of(table, "constraint", "index", "trigger", "policy", "rule")
            if _mentions(part, plain)
            or (part.kind in _HANGING and any(_mentions(part, each.name) for each in columns))
        ]
        middle = [postgres_make.drop(part) for part in parts]
        middle.append(f"ALTER TYPE {one.name} RENAME TO {replaced.rpartition('.')[2]}")
        middle += list(postgres_make.simple(one))
        for each in columns:
            head = f"ALTER TABLE {each.table} ALTER COLUMN {each.name}"
            array = "[]" * each.properties["type"].endswith("[]")
            default = each.properties.get("default")
            if default is not None:
                middle.append(f"{head} DROP DEFAULT")
                # The found one may be a value that goes away.
                default = self._wanted_default(each, default)
            cast = f"{each.name}::text{array}::{one.name}{array}"
            middle.append(f"{head} TYPE {one.name}{array} USING {cast}")
            if default is not None:
                middle.append(f"{head} SET DEFAULT {default}")
        middle += [line for part in parts for line in postgres_make.simple(part)]
        middle.append(f"DROP TYPE {replaced}")
        return self.rebuilt_views(tables, middle)

    def _wanted_default(self, column: Object, default: str) -> str:
        for each in self._wanted.of(column.table, "column"):
            if each.name == column.name:
                return each.properties.get("default", default)
        return default

    def _domain(self, one: Object, other: Object, keys: tuple[str, ...]) -> Fix:
        head = f"ALTER DOMAIN {one.name}"
        own, theirs = one.properties, other.properties
        fix: list[str] = []
        if "type" in keys or "collation" in keys:
            return (), "the type of a domain cannot be changed; make it anew by hand"
        if "default" in keys:
            fix.append(
                f"{head} SET DEFAULT {own['default']}"
                if "default" in own
                else f"{head} DROP DEFAULT"
            )
        if "not null" in keys:
            fix.append(f"{head} {'SET' if 'not null' in own else 'DROP'} NOT NULL")
        if "checks" in keys:
            after = own.get("checks", "").split("\n")
            before = theirs.get("checks", "").split("\n")
            fix += [
                f"{head} DROP CONSTRAINT {line.partition(' CHECK ')[0]}"
                for line in before
                if line and line not in after
            ]
            fix += [
                f"{head} ADD CONSTRAINT {line}" for line in after if line and line not in before
            ]
        return fix, ""

    def _composite(self, one: Object, other: Object, _: tuple[str, ...]) -> Fix:
        after = one.properties["attributes"].split("\n")
        before = other.properties["attributes"].split("\n")
        kept = [line for line in before if line in after]
        if [line for line in after if line in kept] != kept or after[: len(kept)] != kept:
            # Others than the last ones: those behind them must be added again.
            kept = [line for place, line in enumerate(before) if after[place : place + 1] == [line]]
            kept = kept if before[: len(kept)] == kept else []
        head = f"ALTER TYPE {one.name}"
        gone = [line for line in before if line not in kept]
        fix = [f"{head} DROP ATTRIBUTE {line.partition(' ')[0]}" for line in gone]
        fix += [f"{head} ADD ATTRIBUTE {line}" for line in after if line not in kept]
        return fix, ""


def set_sequence(sequence: str, table: str, column: str) -> str:
    """Let a sequence, given as an expression, go on after the largest number of a column."""
    return (
        f"SELECT pg_catalog.setval({sequence}, "
        f"coalesce((SELECT max({column}) FROM {table}), 0) + 1, false)"
    )


def _halves(owner: str) -> tuple[str, str]:
    table, _, column = owner.rpartition(".")
    return table, column


def _mentions(each: Object, name: str) -> bool:
    text = " ".join([each.definition, *each.properties.values()])
    return words.unquoted(name) in words.names(text)


def _behind(hanging: Sequence[Object], more: Iterable[Object]) -> list[Object]:
    """Views in an order in which each comes behind those that it names."""
    left = [*hanging, *more]
    ordered: list[Object] = []
    while left:
        names = {each.name: words.unquoted(each.name.rpartition(".")[2]) for each in left}
        free = next(
            (
                each
                for each in left
                if not any(
                    names[other.name] in words.names(each.definition)
                    for other in left
                    if other is not each
                )
            ),
            left[0],
        )
        ordered.append(free)
        left.remove(free)
    return ordered


def _is_partitioned(table: str, parts: Parts) -> bool:
    return any(
        each.kind == "table" and each.name == table and "partition by" in each.properties
        for each in parts.objects
    )


def _options(head: str, wanted: str | None, found: str | None) -> Iterator[str]:
    after = dict(part.split("=", 1) for part in (wanted or "").split(", ") if part)
    before = dict(part.split("=", 1) for part in (found or "").split(", ") if part)
    gone = sorted(before.keys() - after.keys())
    if gone:
        yield f"{head} RESET ({', '.join(gone)})"
    changed = [f"{key}={value}" for key, value in sorted(after.items()) if before.get(key) != value]
    if changed:
        yield f"{head} SET ({', '.join(changed)})"


def _added_values(name: str, wanted: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    there = list(found)
    for place, value in enumerate(wanted):
        if value in there:
            continue
        where = f"AFTER {wanted[place - 1]}" if place else f"BEFORE {there[0]}" if there else ""
        yield f"ALTER TYPE {name} ADD VALUE {value} {where}".rstrip()
        there.append(value)
