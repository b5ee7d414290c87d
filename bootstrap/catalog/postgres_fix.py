"""The SQL that makes a found PostgreSQL schema the wanted one, difference by difference."""

from collections.abc import Iterable, Iterator, Sequence

from bootstrap.catalog import comparison, postgres_alter, postgres_make, words
from bootstrap.catalog.comparison import Change
from bootstrap.catalog.model import Catalog, Finding, Object
from bootstrap.catalog.postgres_make import Parts

# The order in which changes can be made: what hangs on nothing goes first, what others may hang on
# is dropped last.
_DROPPED_FIRST = ("trigger", "policy", "rule", "view", "constraint", "index", "statistics")
_MADE = (
    "schema",
    "extension",
    "enum",
    "domain",
    "composite",
    "sequence",
    "function",
    "aggregate",
    "column",
    "constraint",
    "table",
    "foreign key",
    "index",
    "statistics",
    "view",
    "late function",
    "rule",
    "trigger",
    "policy",
)
_DROPPED_LAST = (
    "column",
    "table",
    "aggregate",
    "function",
    "sequence",
    "domain",
    "composite",
    "enum",
    "extension",
    "schema",
)
_DESTRUCTIVE = frozenset(("table", "column", "sequence", "extension", "schema"))
_TABLE_PARTS = ("trigger", "policy", "rule")


def differences(changes: Sequence[Change], wanted: Catalog, found: Catalog) -> tuple[Finding, ...]:
    """The changes with their fixes, in the order in which these can be applied."""
    fixer = _Fixer(changes, wanted, found)
    return tuple(fixer.difference(change) for change in fixer.ordered())


class _Fixer:
    def __init__(self, changes: Sequence[Change], wanted: Catalog, found: Catalog) -> None:
        self._wanted, self._found = Parts(wanted), Parts(found)
        self._alter = postgres_alter.Alter(self._wanted, self._found, found.major)
        self._changes = changes
        self._missing = {
            words.unquoted(change.object.name.rpartition(".")[2])
            for change in changes
            if change.is_missing and change.object.kind in ("table", "view", "column")
        }
        self._missing_tables = [
            change.object
            for change in changes
            if change.is_missing and change.object.kind == "table"
        ]

    def ordered(self) -> list[Change]:
        ranked = sorted(self._changes, key=self._rank)
        views = [c for c in ranked if c.is_missing and c.object.kind == "view"]
        tables = [c for c in ranked if c.is_missing and c.object.kind == "table"]
        for group in (views, tables):
            if group:
                start = ranked.index(group[0])
                ranked[start : start + len(group)] = _after_what_they_name(group)
        extra = [c for c in ranked if c.is_extra and c.object.kind in ("view", "table")]
        for kind in ("view", "table"):
            group = [change for change in extra if change.object.kind == kind]
            if group:
                start = ranked.index(group[0])
                ranked[start : start + len(group)] = reversed(_after_what_they_name(group))
        return ranked

    def difference(self, change: Change) -> Finding:
        title, wanted, found = comparison.describe(change)
        fix, note = self._fix(change)
        return Finding(
            kind=change.kind,
            object=title,
            wanted=wanted,
            found=found,
            fix=tuple(fix),
            destructive=bool(fix) and self._loses_data(change),
            note=note,
        )

    def _rank(self, change: Change) -> tuple[int, int, str, str]:
        each = change.object
        kind: str = each.kind
        if change.is_extra:
            first = kind in _DROPPED_FIRST or self._stands_in_the_way(each)
            order = _DROPPED_FIRST if kind in _DROPPED_FIRST else _DROPPED_LAST
            # Foreign keys hang on other keys.
            place = 2 * order.index(kind) + (kind == "constraint" and not _refers(each))
            return 0 if first else 4, place, each.table, each.name
        if change.kind == "comment":
            return 3, 0, each.table, each.name
        if _refers(each):
            kind = "foreign key"
        elif kind == "function" and self._is_late(each):
            kind = "late function"
        elif kind == "constraint" and not each.definition.startswith(("PRIMARY KEY", "UNIQUE")):
            return 1, 2 * _MADE.index(kind) + 1, each.table, each.name
        if kind == "table" and not change.is_missing:
            return 2, 0, each.table, each.name
        # A column's default may go to what its type does not take: the type is changed first.
        within = ("missing-column", "default", "type", "nullability")
        part = within.index(change.kind) if change.kind in within else 0
        if change.kind == "default" and not change.is_missing:
            part = within.index("type") + 1
        return 1, 2 * _MADE.index(kind) + (part > 0), f"{part}{each.table}", each.name

    def _is_late(self, function: Object) -> bool:
        """Whether it names a table, column or view that must be made first."""
        own = function.properties
        checked = own.get("arguments", "") + " " + own.get("returns", "")
        if own.get("language") == "sql":
            checked += function.definition
        return bool(words.names(checked) & self._missing)

    def _stands_in_the_way(self, extra: Object) -> bool:
        return any(
            change.is_missing
            and change.object.kind in ("table", "view", "sequence")
            and extra.kind in ("table", "view", "sequence")
            and change.object.name == extra.name
            for change in self._changes
        )

    def _fix(self, change: Change) -> tuple[Sequence[str], str]:
        if change.is_missing:
            return self._make(change.object)
        if change.is_extra:
            return self._drop(change.object)
        return self._alter.fix(change)

    def _make(self, each: Object) -> tuple[Sequence[str], str]:
        if each.properties.get("kind") == "foreign":
            return (), "the options of foreign tables are not known; make it by hand"
        if each.kind == "column":
            return self._alter.missing_column(each)
        if each.kind == "table":
            fix = list(postgres_make.table(each, self._wanted))
            if each is self._last_table():
                for table in self._missing_tables:
                    fix += self._later_parts(table)
            return fix, ""
        if each.kind == "sequence":
            return [*postgres_make.simple(each), *self._alter.own_and_set(each)], ""
        if each.kind == "constraint":
            return postgres_alter.added(each, self._wanted), ""
        if each.kind == "index":
            return [self._alter.index(each), *postgres_make.comment(each)], ""
        return list(postgres_make.all_of(each, self._wanted)), ""

    def _last_table(self) -> Object:
        ordered = _after_what_they_name(
            [c for c in self._changes if c.is_missing and c.object.kind == "table"]
        )
        return ordered[-1].object

    def _later_parts(self, table: Object) -> Iterator[str]:
        """What may hang on any of the missing tables."""
        for part in self._wanted.of(table.name):
            if _refers(part) or part.kind in _TABLE_PARTS:
                yield from postgres_make.simple(part)

    def _drop(self, each: Object) -> tuple[Sequence[str], str]:
        if each.kind == "schema":
            return [f"DROP SCHEMA {each.name} CASCADE"], "drops all that is in it"
        if each.kind == "constraint":
            return self._alter.without_key(each, [postgres_make.drop(each)]), ""
        if each.kind == "index":
            return [self._alter.drop_index(each)], ""
        if each.kind == "view":
            return self._alter.rebuilt_views([each.name], [postgres_make.drop(each)]), ""
        if each.kind == "table":
            keys = [
                postgres_make.drop(key)
                for key in self._found.objects
                if _refers(key)
                and key.table != each.name
                and postgres_alter.refers_to(key, each.name)
            ]
            return [*keys, postgres_make.drop(each)], ""
        return [postgres_make.drop(each)], ""

    def _loses_data(self, change: Change) -> bool:
        if change.is_extra:
            return change.object.kind in _DESTRUCTIVE or (
                change.object.properties.get("kind") == "materialized"
            )
        if change.wanted is None or change.found is None:
            return False
        return postgres_alter.loses_data(change)


def _refers(each: Object) -> bool:
    return postgres_make.is_foreign_key(each)


def _after_what_they_name(changes: Iterable[Change]) -> list[Change]:
    """In an order in which each comes after those of the others that its text names."""
    left = {change.object.name: change for change in changes}
    texts = {
        name: words.names(
            change.object.definition
            + " "
            + change.object.properties.get("partition of", "")
            + " "
            + change.object.properties.get("inherits", "")
        )
        for name, change in left.items()
    }
    ordered: list[Change] = []
    while left:
        plain = {name: words.unquoted(name.rpartition(".")[2]) for name in left}
        free = [
            name
            for name in left
            if not any(other != name and plain[other] in texts[name] for other in left)
        ]
        # In a circle any order is as good.
        name = (free or sorted(left))[0]
        ordered.append(left.pop(name))
    return ordered
