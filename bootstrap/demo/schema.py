"""What the metadata says about the rows: their order, what must be unique, what checks allow."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

Table = sa.Table
Link = sa.ForeignKeyConstraint


@dataclass(frozen=True)
class Request:
    """What is asked for: `rows` in the largest tables, fewer in those that they refer to.

    `exact` says otherwise for a table, by its full name. `reference` is how many rows the app's own
    seeds put into a table: with no more it counts as empty. With `more` any rows may be there
    already.
    """

    rows: int
    seed: int
    more: bool
    reference: Mapping[str, int]
    exact: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Place:
    """A table in the order of insertion.

    `links` lead to tables before it or to itself; `later` to tables after it, so that they can be
    set only when those are filled. `height` is 0 where no other table refers to it, else one more
    than the highest that does.
    """

    table: Table
    links: list[Link]
    later: list[Link]
    height: int = 0


@dataclass
class Bounds:
    """What checks allow in a column: one of `values`, or a number from `low` to `high`."""

    values: list[str] | None = None
    low: float | None = None
    high: float | None = None


@dataclass
class Checks:
    """The bounds of a table's columns, by name."""

    columns: dict[str, Bounds] = field(default_factory=dict)

    def of(self, name: str) -> Bounds:
        """The bounds of this column."""
        return self.columns.setdefault(name, Bounds())


def ordered(tables: Sequence[Table]) -> list[Place]:
    """The tables, each after those that it refers to; a cycle is cut where it may be NULL.

    Raises ValueError for a cycle of foreign keys none of which can wait.
    """
    waiting = {table: _links(table, tables) for table in tables}
    placed: dict[Table, Place] = {}
    while waiting:
        table = min(waiting, key=lambda each: _rank(each, waiting[each], placed))
        links = waiting.pop(table)
        later = [link for link in links if not _is_placed(link, placed)]
        stuck = [link for link in later if not may_be_null(link)]
        if stuck:
            names = ", ".join(f"{link.parent.name} to {_parent(link).name}" for link in stuck)
            raise ValueError(f"a cycle of foreign keys that may not be NULL: {names}")
        placed[table] = Place(table, [each for each in links if each not in later], later)
    places = list(placed.values())
    for place in reversed(places):
        for link in place.links:
            if _parent(link) is not place.table:
                parent = placed[_parent(link)]
                parent.height = max(parent.height, place.height + 1)
    return places


def unique_sets(table: Table) -> list[list[str]]:
    """The names of columns whose values together occur once: the key first, each set once."""
    found = [list(table.primary_key.columns.keys())]
    found += [
        constraint.columns.keys()
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    found += [index.columns.keys() for index in table.indexes if index.unique]
    found += [[column.key] for column in table.columns if column.unique]
    unique = {tuple(sorted(names)): names for names in found if names}
    return sorted(unique.values(), key=lambda names: (names != found[0], len(names), names))


def referred(table: Table) -> set[str]:
    """The keys of a table's columns that foreign keys refer to."""
    return {
        element.column.key
        for other in table.metadata.tables.values()
        for link in other.foreign_key_constraints
        for element in link.elements
        if element.column.table is table
    }


def may_be_null(link: Link) -> bool:
    """Whether a row may refer to nothing."""
    return all(element.parent.nullable for element in link.elements)


_IN = re.compile(r"\"?(?<!NOT )\b(\w+)\"?\s+IN\s+\(([^()]*)\)", re.IGNORECASE)
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_COMPARE = re.compile(r"\"?\b(\w+)\"?\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\b")
_BETWEEN = re.compile(
    r"\"?\b(\w+)\"?\s+BETWEEN\s+(-?\d+(?:\.\d+)?)\s+AND\s+(-?\d+(?:\.\d+)?)", re.IGNORECASE
)


def checks(table: Table, dialect: sa.engine.Dialect) -> Checks:
    """What the checks of a table allow, as far as they compare a column with constants.

    What they say beyond that is left to the database, which refuses what it cannot take.
    """
    found = Checks()
    of_columns = (each for column in table.columns for each in column.constraints)
    for constraint in (*table.constraints, *of_columns):
        if not isinstance(constraint, sa.CheckConstraint):
            continue
        text = str(
            constraint.sqltext.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        )
        for name, listed in _IN.findall(text):
            found.of(name).values = [
                each.replace("''", "'") for each in _LITERAL.findall(listed)
            ] or None
        for name, sign, number in _COMPARE.findall(text):
            bounds, limit = found.of(name), float(number)
            step = 0.0 if "=" in sign else 1.0
            if ">" in sign:
                bounds.low = limit + step
            else:
                bounds.high = limit - step
        for name, low, high in _BETWEEN.findall(text):
            found.columns[name] = Bounds(low=float(low), high=float(high))
    return found


def _links(table: Table, known: Iterable[Table]) -> list[Link]:
    """A table's foreign keys to known tables, those that share a column with another left out."""
    taken: set[str] = set()
    links = []
    # Those of several columns first: they contain what the others say.
    for link in sorted(
        table.foreign_key_constraints,
        key=lambda each: (-len(each.elements), list(each.column_keys)),
    ):
        if _parent(link) in known and not taken & set(link.column_keys):
            taken |= set(link.column_keys)
            links.append(link)
    return sorted(links, key=lambda each: list(each.column_keys))


def _rank(table: Table, links: list[Link], placed: dict[Table, Place]) -> tuple[int, int, str]:
    """The next table is the one with the fewest links that would have to wait, or could not."""
    missing = [link for link in links if not _is_placed(link, placed)]
    return sum(not may_be_null(link) for link in missing), len(missing), table.fullname


def _is_placed(link: Link, placed: dict[Table, Place]) -> bool:
    return _parent(link) in placed or _parent(link) is link.parent


def _parent(link: Link) -> Table:
    return link.elements[0].column.table
