"""What the target's tables are made of, and the order in which they are filled."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column. `base` is the name of its type, `modifier` what stands in brackets after it.

    `base` is "enum" with its `labels`, and "other" for what only the server can judge. `bare` is
    `type` without its modifier, and of a domain the type below it.
    """

    name: str
    type: str
    base: str
    modifier: tuple[int, ...]
    not_null: bool
    has_default: bool
    generated: bool
    labels: tuple[str, ...] = ()
    bare: str = ""


@dataclass(frozen=True)
class Key:
    """Columns that together are unique; NULLs are all different unless said otherwise."""

    name: str
    columns: tuple[str, ...]
    primary: bool
    nulls_equal: bool


@dataclass(frozen=True)
class PartialKey:
    """A unique index over expressions, or over the rows alone for which `where` is true."""

    name: str
    terms: tuple[str, ...]
    where: str | None
    nulls_equal: bool


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    name: str
    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A CHECK, as the server spells it out, and the columns it is about.

    One that is not `pure` calls a function that may look at more than the values it is given.
    """

    name: str
    expression: str
    columns: tuple[str, ...]
    pure: bool


@dataclass(frozen=True)
class Numbering:
    """What numbers a column."""

    name: str
    column: str
    identity: bool
    increment: int


@dataclass(frozen=True)
class Step:
    """What is taken away before the load, and the statements that put it back after it."""

    undo: str
    redo: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table of the target. `sql` is its name as SQL wants it."""

    name: str
    sql: str
    partitioned: bool
    columns: tuple[Column, ...]
    keys: tuple[Key, ...]
    partial_keys: tuple[PartialKey, ...]
    references: tuple[Reference, ...]
    checks: tuple[Check, ...]
    sequences: tuple[Numbering, ...]
    foreign: tuple[Step, ...]
    indexes: tuple[Step, ...]
    triggers: tuple[Step, ...]

    @property
    def primary(self) -> Key | None:
        """The primary key."""
        return next((key for key in self.keys if key.primary), None)

    def column(self, name: str) -> Column:
        """The column of this name."""
        return next(column for column in self.columns if column.name == name)


def order(tables: Sequence[Table]) -> list[Table]:
    """Tables after those that they refer to; in a circle, the one with the fewest left comes first.

    Within the load no foreign key is there to be broken: the order is what lets a row that is left
    out take those along that refer to it.
    """
    left = {table.name: table for table in tables}
    placed: list[Table] = []

    def waiting(table: Table) -> int:
        return sum(
            1 for each in table.references if each.table in left and each.table != table.name
        )

    while left:
        following = min(left.values(), key=lambda table: (waiting(table), table.name))
        placed.append(left.pop(following.name))
    return placed
