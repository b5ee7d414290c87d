"""The base of the apps' repositories: the rows of one table, by their key."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap.client import Client

Row = TypeVar("Row", bound=orm.DeclarativeBase)


class Repository(Generic[Row]):
    """The rows of `model`, whose table has a key of one column.

    `newest` names the column by which lists come newest first. Values go by the names of the
    table's columns, which `attributes` maps to the model's attributes; an unknown one raises
    ValueError, as does a value that PostgreSQL would refuse and SQLite would keep. Errors of the
    database are those of the client. Rows that are given out belong to no session.
    """

    model: ClassVar[type[Any]]
    newest: ClassVar[str] = "created_at"

    def __init__(self, client: Client) -> None:
        self.client = client
        mapper = sa.inspect(self.model)
        self.table: sa.Table = mapper.local_table
        (self.key,) = mapper.primary_key
        self.attributes = {prop.columns[0].name: prop.key for prop in mapper.column_attrs}

    def create(self, values: Mapping[str, Any]) -> Row:
        """Insert a row and give it back whole."""
        named = self._named(values)

        def work(session: orm.Session) -> Row:
            row: Row = self.model(**named)
            session.add(row)
            session.flush()
            session.refresh(row)
            return row

        return self.client.transaction(work)

    def get(self, id_: str | int) -> Row | None:
        """The row with this id."""
        return self.client.read(lambda session: session.get(self.model, id_))

    def list(self, *, limit: int = 100, offset: int = 0) -> list[Row]:
        """Rows, newest first."""
        # PostgreSQL's own order; SQLite would put what has no time last.
        newest = (self.table.c[self.newest].desc().nulls_first(), self.key.desc())
        page = sa.select(self.model).order_by(*newest).limit(limit).offset(offset)
        return self.client.read(lambda session: list(session.scalars(page)))

    def update(self, id_: str | int, values: Mapping[str, Any]) -> Row | None:
        """Change these columns and give the row back whole; None where the id is unknown."""
        named = self._named(values)

        def work(session: orm.Session) -> Row | None:
            row: Row | None = session.get(self.model, id_, with_for_update=True)
            if row is not None:
                for name, value in named.items():
                    setattr(row, name, value)
                    # 0 and false are equal to Python, and not the same in a JSON column.
                    orm.attributes.flag_modified(row, name)
                session.flush()
                session.refresh(row)
            return row

        return self.client.transaction(work)

    def delete(self, id_: str | int) -> bool:
        """Whether a row went."""
        return self.client.execute(sa.delete(self.table).where(self.key == id_)) > 0

    def count(self) -> int:
        """How many rows there are."""
        everything = sa.select(sa.func.count()).select_from(self.table)
        return self.client.read(lambda session: session.scalar(everything)) or 0

    def _named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        unknown = ", ".join(sorted(values.keys() - self.attributes.keys()))
        if unknown:
            known = ", ".join(self.attributes)
            raise ValueError(f"{self.table.name}: no column {unknown}; known are {known}")
        for name, value in values.items():
            misfit = _misfit(self.table.c[name].type, value)
            if misfit:
                raise ValueError(f"{self.table.name}.{name}: {misfit}")
        return {self.attributes[name]: value for name, value in values.items()}


def _misfit(kind: sa.types.TypeEngine[Any], value: object) -> str | None:
    """What is wrong with a value for a column of this type."""
    if isinstance(value, str) and isinstance(kind, sa.String):
        if "\0" in value:
            return "wanted text without NUL characters"
        if kind.length is not None and len(value) > kind.length:
            return f"wanted at most {kind.length} characters, found {len(value)}"
    if isinstance(value, int) and isinstance(kind, sa.Integer):
        bits = 64 if isinstance(kind, sa.BigInteger) else 32
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            return f"wanted a whole number of {bits} bits, found {value}"
    return None
