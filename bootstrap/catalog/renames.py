"""Tables and columns that are there under another name: to make them anew would leave their rows.

A table was renamed if one is missing and one is extra, and both have the same columns; a column, if
in one table one is missing and one is extra, of the same properties and in the same place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bootstrap.catalog import words
from bootstrap.catalog.model import Catalog, Finding, Object
from bootstrap.catalog.model import catalog as catalog_of
from bootstrap.catalog.words import Word

# What does not follow a new name.
_FREE = frozenset(("comment", "returns", "arguments", "language"))


@dataclass(frozen=True)
class Rename:
    """A table, or a column or constraint of `table`, that is named `found` instead of `wanted`."""

    table: str
    wanted: str
    found: str
    constraint: Object | None = None

    @property
    def difference(self) -> Finding:
        """What it is to a user."""
        if not self.table:
            return Finding(
                "missing-table",
                f"table {self.wanted}",
                "a table",
                f"table {self.found} with the same columns",
                fix=(f"ALTER TABLE {self.found} RENAME TO {self.wanted.rpartition('.')[2]}",),
                note="taken for renamed; if it is another table, move it out of the way first",
            )
        if self.constraint is not None:
            is_check = self.constraint.definition.startswith("CHECK")
            return Finding(
                "check" if is_check else "key",
                f"constraint {self.wanted} on {self.table}",
                self.constraint.definition,
                f"the same named {self.found}",
                fix=(f"ALTER TABLE {self.table} RENAME CONSTRAINT {self.found} TO {self.wanted}",),
            )
        return Finding(
            "missing-column",
            f"column {self.table}.{self.wanted}",
            "a column",
            f"column {self.found} of the same type in its place",
            fix=(f"ALTER TABLE {self.table} RENAME COLUMN {self.found} TO {self.wanted}",),
            note="taken for renamed; if it is another column, give it another place first",
        )


def find(wanted: Catalog, found: Catalog) -> list[Rename]:
    """What was renamed, as far as it is plain: tables, or else columns, or else constraints."""
    ours, theirs = _columns(wanted), _columns(found)
    renames = list(_tables(ours, theirs))
    if not renames:
        for table in sorted(ours.keys() & theirs.keys()):
            renames += _in_table(table, ours[table], theirs[table])
    if not renames and wanted.dialect == "postgresql":
        renames += _constraints(wanted, found)
    return renames


def undone(of: Catalog, rename: Rename) -> Catalog:
    """The catalog as it is when the wanted name is given back."""
    return catalog_of(
        of.dialect,
        (_undone(each, rename) for each in of.objects),
        server=of.server,
        schema=of.schema,
    )


def _columns(of: Catalog) -> dict[str, list[Object]]:
    # A partition has no columns of its own, but its bounds.
    tables = {
        each.name: [each] if "partition of" in each.properties else []
        for each in of.objects
        if each.kind == "table"
    }
    for each in of.objects:
        if each.kind == "column":
            tables[each.table].append(each)
    return {
        name: sorted(columns, key=lambda each: each.position) for name, columns in tables.items()
    }


def _tables(
    ours: Mapping[str, Sequence[Object]], theirs: Mapping[str, Sequence[Object]]
) -> Iterator[Rename]:
    missing, extra = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    for name in missing:
        same = [other for other in extra if _looks(ours[name]) == _looks(theirs[other])]
        twins = [other for other in missing if _looks(ours[name]) == _looks(ours[other])]
        schema = name.rpartition(".")[0]
        if len(same) == len(twins) == 1 and ours[name] and same[0].rpartition(".")[0] == schema:
            yield Rename("", name, same[0])


def _looks(columns: Sequence[Object]) -> list[tuple[str, str]]:
    return [
        (each.name, each.properties.get("type", ""))
        if each.kind == "column"
        else ("", each.properties["partition of"])
        for each in columns
    ]


def _in_table(table: str, ours: Sequence[Object], theirs: Sequence[Object]) -> Iterator[Rename]:
    here, there = {each.name for each in ours}, {each.name for each in theirs}
    missing = [each for each in ours if each.name not in there]
    extra = [each for each in theirs if each.name not in here]
    if len(missing) == len(extra) == 1 and len(ours) == len(theirs):
        one, other = missing[0], extra[0]
        same_place = ours.index(one) == theirs.index(other)
        if (
            same_place
            and one.properties.keys() == other.properties.keys()
            and (one.properties.get("type") == other.properties.get("type"))
        ):
            yield Rename(table, one.name, other.name)


def _constraints(wanted: Catalog, found: Catalog) -> Iterator[Rename]:
    """On PostgreSQL alone: on SQLite the table is made anew for it anyway."""
    ours, theirs = (
        {each.key: each for each in of.objects if each.kind == "constraint"}
        for of in (wanted, found)
    )
    missing = [each for key, each in ours.items() if key not in theirs]
    extra = [each for key, each in theirs.items() if key not in ours]
    for one in missing:
        same = [each for each in extra if _says(each) == _says(one)]
        if len(same) == 1 and sum(_says(each) == _says(one) for each in missing) == 1:
            yield Rename(one.table, one.name, same[0].name, one)


def _says(constraint: Object) -> tuple[str, str]:
    return constraint.table, constraint.definition


def _undone(each: Object, rename: Rename) -> Object:
    before = words.unquoted(rename.found.rpartition(".")[2])
    after = rename.wanted.rpartition(".")[2]
    if rename.constraint is not None:
        is_it = (each.kind, each.table, each.name) == ("constraint", rename.table, rename.found)
        return replace(each, name=rename.wanted) if is_it else each
    if not rename.table:
        table = rename.wanted if each.table == rename.found else each.table
        name = rename.wanted if (each.kind, each.name) == ("table", rename.found) else each.name
    else:
        table = each.table
        is_it = each.kind == "column" and (each.table, each.name) == (rename.table, rename.found)
        name = rename.wanted if is_it else each.name
    if each.kind == "function":
        return each
    properties = {
        key: value if key in _FREE else _renamed(value, before, after)
        for key, value in each.properties.items()
    }
    # A constraint without a name is known by its text.
    if each.kind == "constraint" and each.name == each.properties.get("definition"):
        name = properties["definition"]
    return replace(each, table=table, name=name, properties=properties)


def _renamed(text: str, before: str, after: str) -> str:
    if before not in text:
        return text
    kept: list[Word] = []
    for word in words.split(text):
        if word.kind in ("name", "quoted") and words.unquoted(word.text) == before:
            word = word._replace(text=after)
        kept.append(word)
        # A view goes on to show a renamed column under its former name.
        if len(kept) > 2 and kept[-2].upper == "AS" and kept[-3].text == kept[-1].text == after:
            del kept[-2:]
    return words.join(kept)
