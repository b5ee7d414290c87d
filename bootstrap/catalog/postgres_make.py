"""The statements that make, comment and drop the objects of a PostgreSQL schema."""

from collections.abc import Iterable, Iterator

from bootstrap.catalog import words
from bootstrap.catalog.model import Catalog, Object


class Parts:
    """What belongs to which table or view of a catalog."""

    def __init__(self, of: Catalog) -> None:
        self.objects = of.objects
        self._of: dict[str, list[Object]] = {}
        for each in of.objects:
            if each.table:
                self._of.setdefault(each.table, []).append(each)

    def of(self, table: str, *kinds: str) -> list[Object]:
        """The parts of a table, of these kinds if any are given, columns in their order."""
        found = [each for each in self._of.get(table, ()) if not kinds or each.kind in kinds]
        return sorted(found, key=lambda each: each.position)

    def sequences(self, owner: str) -> list[Object]:
        """The sequences that a column owns, or those that all columns of a table own."""
        return [
            each
            for each in self.objects
            if each.kind == "sequence"
            and owner
            in (
                each.properties.get("owned by"),
                each.properties.get("owned by", "").rpartition(".")[0],
            )
        ]


def beside(table: str, name: str) -> str:
    """The name of an index of a table, in the table's schema."""
    if table.startswith('"'):
        end = table.find('"', 1)
        while table[end : end + 2] == '""':
            end = table.find('"', end + 2)
        schema = table[: end + 1] if table[end + 1 : end + 2] == "." else ""
    else:
        schema = table.partition(".")[0] if "." in table else ""
    return f"{schema}.{name}" if schema else name


def is_foreign_key(each: Object) -> bool:
    """Whether it is a foreign key."""
    return each.kind == "constraint" and each.definition.startswith("FOREIGN KEY")


def column(each: Object) -> str:
    """A column as CREATE TABLE and ADD COLUMN want it."""
    own = each.properties
    text = f"{each.name} {own['type']}"
    if "collation" in own:
        text += f" COLLATE {own['collation']}"
    if "generated" in own:
        text += f" {generated(own['generated'])}"
    if "identity" in own:
        text += f" {identity(own['identity'])}"
    if "default" in own:
        text += f" DEFAULT {own['default']}"
    return text + (" NOT NULL" if "not null" in own else "")


def generated(text: str) -> str:
    """`lower(name) stored` as the clause of a column."""
    expression, _, kept = text.rpartition(" ")
    return f"GENERATED ALWAYS AS ({expression}) {kept.upper()}"


def identity(text: str) -> str:
    """`by default start with 10` as the clause of a column."""
    when = "BY DEFAULT" if text.startswith("by default") else "ALWAYS"
    options = text[len(when) :].strip().upper()
    return f"GENERATED {when} AS IDENTITY" + (f" ({options})" if options else "")


def table(each: Object, parts: Parts) -> Iterator[str]:
    """Make a table with all that belongs to it but foreign keys."""
    for sequence in parts.sequences(each.name):
        yield f"CREATE SEQUENCE {sequence.name} {sequence.definition}"
    own = each.properties
    made = [column(part) for part in parts.of(each.name, "column")]
    constraints = [part for part in parts.of(each.name, "constraint") if not is_foreign_key(part)]
    made += [f"CONSTRAINT {part.name} {part.definition}" for part in constraints]
    unlogged = "UNLOGGED " if own.get("persistence") == "unlogged" else ""
    text = f"CREATE {unlogged}TABLE {each.name}"
    if "partition of" in own:
        parent, _, bound = own["partition of"].partition(" ")
        text += f" PARTITION OF {parent}"
        text += f" ({', '.join(made)})" if made else ""
        text += f" {bound}"
    else:
        text += " (" + ",".join(f"\n    {line}" for line in made) + "\n)"
    if "inherits" in own:
        text += f" INHERITS ({own['inherits']})"
    if "partition by" in own:
        text += f" PARTITION BY {own['partition by']}"
    if "options" in own:
        text += f" WITH ({own['options']})"
    yield text
    for sequence in parts.sequences(each.name):
        yield f"ALTER SEQUENCE {sequence.name} OWNED BY {sequence.properties['owned by']}"
        yield from comment(sequence)
    for part in parts.of(each.name, "index", "statistics"):
        yield from simple(part)
    yield from row_security(each.name, None, own.get("row security"))
    if "replica identity" in own:
        yield replica_identity(each)
    yield from comment(each)
    for part in [*parts.of(each.name, "column"), *constraints]:
        yield from comment(part)


def view(each: Object, parts: Parts, grants: Object | None = None) -> Iterator[str]:
    """Make a view with what belongs to it, and grant what was granted on `grants`."""
    own = each.properties
    materialized = "MATERIALIZED " if own.get("kind") == "materialized" else ""
    options = f" WITH ({own['options']})" if "options" in own else ""
    yield f"CREATE {materialized}VIEW {each.name}{options} AS\n{each.definition}"
    yield from comment(each)
    for part in parts.of(each.name):
        yield from simple(part)
    if grants is not None and grants.aside.get("grants"):
        yield from grants.aside["grants"].split("\n")


def simple(each: Object) -> Iterator[str]:
    """Make anything that is made by few statements, with its comment."""
    own = each.properties
    if each.kind == "constraint":
        yield f"ALTER TABLE {each.table} ADD CONSTRAINT {each.name} {each.definition}"
    elif each.kind in ("index", "function", "trigger", "rule", "statistics"):
        yield each.definition.removesuffix(";")
        if "enabled" in own:
            yield enabled(each)
    elif each.kind == "aggregate":
        yield f"CREATE AGGREGATE {each.name} ({each.definition})"
    elif each.kind == "policy":
        yield _policy(each)
    elif each.kind == "sequence":
        unlogged = "UNLOGGED " if "persistence" in own else ""
        yield f"CREATE {unlogged}SEQUENCE {each.name} {each.definition}"
    elif each.kind == "schema":
        yield f"CREATE SCHEMA {each.name}"
    elif each.kind == "extension":
        yield f"CREATE EXTENSION IF NOT EXISTS {each.name}"
    elif each.kind == "enum":
        yield f"CREATE TYPE {each.name} AS ENUM ({', '.join(own['values'].split(chr(10)))})"
    elif each.kind == "composite":
        yield f"CREATE TYPE {each.name} AS ({', '.join(own['attributes'].split(chr(10)))})"
    elif each.kind == "domain":
        yield _domain(each)
    yield from comment(each)


def drop(each: Object) -> str:
    """Drop it, but nothing else with it."""
    if each.kind == "constraint":
        return f"ALTER TABLE {each.table} DROP CONSTRAINT {each.name}"
    if each.kind == "column":
        return f"ALTER TABLE {each.table} DROP COLUMN {each.name}"
    if each.kind in ("trigger", "policy", "rule"):
        return f"DROP {each.kind.upper()} {each.name} ON {each.table}"
    if each.kind == "index":
        return f"DROP INDEX {beside(each.table, each.name)}"
    return f"DROP {_word(each)} {each.name}"


def comment(each: Object, *, always: bool = False) -> Iterator[str]:
    """Say what the comment is; nothing where there is none, unless `always`."""
    text = each.properties.get("comment")
    if text is None and not always:
        return
    value = "NULL" if text is None else words.literal(text)
    yield f"COMMENT ON {_named(each)} IS {value}"


def enabled(trigger: Object) -> str:
    """Enable or disable a trigger."""
    how = {"no": "DISABLE", "on a replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}
    word = how.get(trigger.properties.get("enabled", ""), "ENABLE")
    return f"ALTER TABLE {trigger.table} {word} TRIGGER {trigger.name}"


def row_security(table: str, found: str | None, wanted: str | None) -> Iterator[str]:
    """Switch a table's row security from one state to the other."""

    def switches(state: str | None) -> tuple[bool, bool]:
        return state in ("enabled", "forced"), state in ("forced", "forced but not enabled")

    before, after = switches(found), switches(wanted)
    if before[0] != after[0]:
        yield f"ALTER TABLE {table} {'ENABLE' if after[0] else 'DISABLE'} ROW LEVEL SECURITY"
    if before[1] != after[1]:
        yield f"ALTER TABLE {table} {'' if after[1] else 'NO '}FORCE ROW LEVEL SECURITY"


def replica_identity(table: Object) -> str:
    """Say by what a table's rows are known in replication."""
    how = table.properties.get("replica identity", "default")
    shown = f"USING INDEX {how[6:]}" if how.startswith("index ") else how.upper()
    return f"ALTER TABLE {table.name} REPLICA IDENTITY {shown}"


def all_of(each: Object, parts: Parts) -> Iterable[str]:
    """Make an object that stands by itself, with its parts."""
    if each.kind == "table":
        return table(each, parts)
    if each.kind == "view":
        return view(each, parts)
    return simple(each)


_WORDS = {
    ("enum", ""): "TYPE",
    ("composite", ""): "TYPE",
    ("view", "materialized"): "MATERIALIZED VIEW",
    ("function", "procedure"): "PROCEDURE",
    ("table", "foreign"): "FOREIGN TABLE",
}


def _word(each: Object) -> str:
    kind = each.properties.get("kind", "")
    return _WORDS.get((each.kind, kind)) or _WORDS.get((each.kind, "")) or each.kind.upper()


def _named(each: Object) -> str:
    if each.kind == "column":
        return f"COLUMN {each.table}.{each.name}"
    if each.kind in ("constraint", "trigger", "policy", "rule"):
        return f"{each.kind.upper()} {each.name} ON {each.table}"
    if each.kind == "index":
        return f"INDEX {beside(each.table, each.name)}"
    return f"{_word(each)} {each.name}"


def _policy(each: Object) -> str:
    own = each.properties
    text = f"CREATE POLICY {each.name} ON {each.table}"
    if "kind" in own:
        text += " AS RESTRICTIVE"
    if "for" in own:
        text += f" FOR {own['for'].upper()}"
    if "to" in own:
        text += f" TO {own['to']}"
    if "using" in own:
        text += f" USING ({own['using']})"
    return text + (f" WITH CHECK ({own['with check']})" if "with check" in own else "")


def _domain(each: Object) -> str:
    own = each.properties
    text = f"CREATE DOMAIN {each.name} AS {own['type']}"
    if "collation" in own:
        text += f" COLLATE {own['collation']}"
    if "default" in own:
        text += f" DEFAULT {own['default']}"
    if "not null" in own:
        text += " NOT NULL"
    for line in own.get("checks", "").split("\n"):
        if line:
            text += f" CONSTRAINT {line}"
    return text
