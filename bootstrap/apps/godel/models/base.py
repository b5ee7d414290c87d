"""What the tables of godel have in common.

Keys and checks that came after the document have their names written out; the rest follow the
convention.
"""

import datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from bootstrap import models

MONEY = models.Exact(12, 4)


class Base(DeclarativeBase):
    """The tables of godel."""

    metadata = sa.MetaData(naming_convention={**models.NAMES, "ck": "%(constraint_name)s"})


def uuid_key() -> MappedColumn[str]:
    """A key that the program makes, or else the database."""
    return mapped_column(
        models.UUID, primary_key=True, default=models.new_id, server_default=models.random_uuid()
    )


def made() -> MappedColumn[datetime.datetime]:
    """When the row was made, by the clock of the database."""
    return mapped_column(models.Time, server_default=models.now())


def updated() -> MappedColumn[datetime.datetime]:
    """When the row was last changed; a trigger sets it with every change."""
    return mapped_column(
        models.Time, server_default=models.now(), server_onupdate=sa.FetchedValue()
    )


def one_of(column: str, values: Any, name: str) -> sa.CheckConstraint:
    """A check that the column holds one of the words of a Literal."""
    listed = ", ".join(f"'{value}'" for value in get_args(values))
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name)


def partial_index(
    name: str,
    *columns: str | sa.ColumnElement[Any],
    where: str,
    sqlite_where: str | None = None,
) -> sa.Index:
    """An index of the rows that meet a condition.

    `sqlite_where` is the condition there, where it is not the same: SQLite uses such an index only
    for the words in which a query asks, and SQLAlchemy writes `flag = 1` for PostgreSQL's `flag`.
    """
    return sa.Index(
        name,
        *columns,
        postgresql_where=sa.text(where),
        sqlite_where=sa.text(sqlite_where or where),
    )


def extend(model: type[Base], *items: sa.Constraint | sa.Index) -> None:
    """Add constraints and indexes to the table of a model."""
    table = model.__table__
    assert isinstance(table, sa.Table)
    for item in items:
        table.append_constraint(item)
